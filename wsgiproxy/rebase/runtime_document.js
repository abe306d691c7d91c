// The part of runtime.js for windows: it is put in there, and has what is declared there.

const one = map;
const kinds = {
  href: one, src: one, action: one, formaction: one, poster: one, cite: one, background: one,
  longdesc: one, "xlink:href": one, srcset: mapSet, imagesrcset: mapSet, ping: mapAll,
  attributionsrc: mapAll, style: mapCss,
};
const element = proto("Element");
const { setAttribute, getAttribute, removeAttribute } = element;
const inert = document.createElement("template").content.ownerDocument;
function mapAttribute(owner, name, value) {
  const kind = String(name).toLowerCase();
  if (kind === "data" && owner && owner.localName === "object") return map(value);
  if (kind === "srcdoc" && owner && owner.localName === "iframe") return mapPage(value);
  return Object.hasOwn(kinds, kind) ? kinds[kind](value) : value;
}

// The hash of a style sheet goes once it is known that the sheet is ours, and comes back
// if it is not.
const hashes = new WeakMap();
function settle(link) {
  if (!link || link.localName !== "link") return;
  const hash = getAttribute.call(link, "integrity") || hashes.get(link);
  if (!hash) return;
  const words = `${link.rel} ${link.as}`.toLowerCase().split(/\s+/);
  if ((words.includes("stylesheet") || words.includes("style")) && isOurs(getAttribute.call(link, "href") || "")) {
    hashes.set(link, hash);
    removeAttribute.call(link, "integrity");
  } else if (hashes.delete(link)) setAttribute.call(link, "integrity", hash);
}
wrap(element, "setAttribute", (args, that) => args.length < 2 ? args
  : [args[0], mapAttribute(that, args[0], args[1])], (result, args, that) => settle(that));
wrap(element, "setAttributeNS", (args, that) => args.length < 3 ? args
  : [args[0], args[1], mapAttribute(that, args[1], args[2])], (result, args, that) => settle(that));
const attr = proto("Attr");
const setValue = attr && getOwnPropertyDescriptor(attr, "value").set;
const node = (args, that) => {
  const given = args[0];
  if (given instanceof self.Attr) {
    const value = mapAttribute(that.localName ? that : null, given.name, given.value);
    if (value !== given.value) setValue.call(given, value);
  }
  return args;
};
for (const name of ["setAttributeNode", "setAttributeNodeNS"]) {
  wrap(element, name, node, (result, args, that) => settle(that));
}
["setNamedItem", "setNamedItemNS"].forEach(name => wrap(proto("NamedNodeMap"), name, node));
wrapSetter(attr, "value", (value, that) => mapAttribute(that.ownerElement, that.name, value));

for (const [names, properties] of [
  ["Anchor Area Base Link", "href"], ["Anchor", "ping:all"],
  ["Script Image IFrame Frame Embed Input Media Source Track", "src"],
  ["Image Source", "srcset:set"], ["Link", "imageSrcset:set"], ["Video", "poster"],
  ["Form", "action"], ["Input Button", "formAction"], ["Object", "data"],
  ["Quote Mod", "cite"], ["Body", "background"], ["IFrame", "srcdoc:page"],
  ["Link", "integrity:same"], ["Link", "rel:same"], ["Link", "as:same"],
]) {
  const [property, kind] = properties.split(":");
  const change = { set: mapSet, all: mapAll, page: mapPage, same: value => value }[kind] || one;
  for (const name of names.split(" ")) {
    wrapSetter(proto("HTML" + name + "Element"), property, change, name === "Link" ? settle : undefined);
  }
}
wrapSetter(proto("SVGAnimatedString"), "baseVal", value => isString(value) && value[0] === "/" ? map(value) : value);

// Markup as text: only what stands in a tag and begins like one of our URLs changes, and
// the text of style sheets.
const inside = `(?:[^>"']|"[^"]*"|'[^']*')*`;
const markup = new RegExp(`<!--[^]*?-->|(<(style|script|textarea|title|xmp|noembed|noframes)(?![^\\s/>])${inside}>)`
  + `([^]*?)(?=</\\2|$)|<[a-z]${inside}>`, "gi");
const attribute = /([\s"'/](?:href|src|action|formaction|poster|cite|background|longdesc|xlink:href|srcset|imagesrcset|ping|attributionsrc|style|data|srcdoc|integrity)\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s>"']+))/gi;
const entities = { "&amp;": "&", "&quot;": '"', "&#39;": "'", "&lt;": "<", "&gt;": ">" };
const unescaped = text => text.replace(/&(?:amp|quot|#39|lt|gt);/g, entity => entities[entity]);
const escaped = text => text.replace(/[&"'<>]/g, c => `&#${c.charCodeAt(0)};`);
function mapTag(tag) {
  const isSheet = /^<link[\s/]/i.test(tag) && /[\s"'/](?:rel|as)\s*=\s*["']?[^"'>]*style/i.test(tag);
  const href = isSheet && /[\s"'/]href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))/i.exec(tag);
  return tag.replace(attribute, (all, before, double, single, bare) => {
    const kind = /([\w:]+)\s*=\s*$/.exec(before)[1].toLowerCase();
    const value = double ?? single ?? bare;
    if (kind === "integrity") {
      return href && isOurs(unescaped(href[1] ?? href[2] ?? href[3])) ? before[0] + "data-" + all.slice(1) : all;
    }
    if (kind === "data" && !/^<object/i.test(tag)) return all;
    if (kind === "srcdoc") {
      return /^<iframe/i.test(tag) ? `${before}"${escaped(mapPage(unescaped(value)))}"` : all;
    }
    const changed = kinds[kind](value);
    if (changed === value) return all;
    const quote = double !== undefined ? '"' : single !== undefined ? "'" : "";
    return before + quote + changed + quote;
  });
}
function mapMarkup(text) {
  if (!isString(text) || !text.includes("<")) return text;
  return text.replace(markup, (all, raw, name, content) => {
    if (all.startsWith("<!--")) return all;
    if (raw === undefined) return mapTag(all);
    return mapTag(raw) + (name.toLowerCase() === "style" ? mapCss(content) : content);
  });
}
// A page of its own needs the script as well, behind what decides how it is shown.
function mapPage(text) {
  if (!isString(text) || !current) return text;
  const start = /^(?:\s|<!--[^]*?-->|<!doctype[^>]*>|<(?:html|head)(?:\s[^>]*)?>)*/i.exec(text)[0];
  const proof = [["nonce", current.nonce], ["integrity", current.integrity]]
    .map(([name, value]) => value ? ` ${name}="${escaped(value)}"` : "").join("");
  return `${start}<script src="${escaped(current.src)}"${proof}></script>${mapMarkup(text.slice(start.length))}`;
}
for (const owner of [element, proto("ShadowRoot")]) {
  wrapSetter(owner, "innerHTML", (value, that) => that.localName === "style" ? mapCss(value) : mapMarkup(value));
  wrap(owner, "setHTMLUnsafe", at(0, mapMarkup));
  wrap(owner, "setHTML", at(0, mapMarkup));
}
wrapSetter(element, "outerHTML", mapMarkup);
wrap(element, "insertAdjacentHTML", at(1, mapMarkup));
wrap(proto("Range"), "createContextualFragment", at(0, mapMarkup));
["write", "writeln"].forEach(name => wrap(proto("Document"), name, args => args.some(arg => typeof arg === "object")
  ? args.map(mapMarkup) : [mapMarkup([...args].join(""))]));

// -- nodes that were made elsewhere, sheets as text, windows without a server -----------
const nodeProto = proto("Node");
const { set: setText, get: getText } = getOwnPropertyDescriptor(nodeProto, "textContent");
function repair(root) {
  if (!root || !root.querySelectorAll) return;
  const found = root.querySelectorAll("*");
  for (const each of root.localName ? [root, ...found] : found) {
    for (const { name, value, namespaceURI } of [...(each.attributes || [])]) {
      const changed = name === "srcdoc" ? value : mapAttribute(each, name, value);
      if (changed !== value) each.getAttributeNodeNS(namespaceURI, name.replace(/^.*:/, "")).value = changed;
    }
    if (each.localName === "style") {
      const text = getText.call(each), changed = mapCss(text);
      if (changed !== text) setText.call(each, changed);
    }
    if (each.localName === "link") settle(each);
    if (each.localName === "template" && each.content) repair(each.content);
  }
}
wrap(proto("DOMParser"), "parseFromString", null, repair);
wrap(self.Document, "parseHTMLUnsafe", null, repair);
wrap(self.Document, "parseHTML", null, repair);
for (const name of ["importNode", "adoptNode"]) {
  wrap(proto("Document"), name, (args, that) => {
    if (name === "adoptNode" && isStrange(args[0], that)) repair(args[0]);
    return args;
  }, (result, args, that) => { if (isStrange(args[0], that)) repair(result); });
}
function isStrange(given, that) {
  const from = given && given.ownerDocument;
  return from && from !== inert && from !== (that.ownerDocument || that);
}
function inserted(args, that) {
  return Array.from(args, given => {
    if (that && that.localName === "style") {
      if (isString(given)) return mapCss(given);
      if (given && given.nodeType === 3) given.data = mapCss(given.data);
    }
    if (isStrange(given, that)) repair(given);
    return given;
  });
}
function isWindowed(given) {
  return given && given.nodeType && (given.localName === "iframe" || given.localName === "frame"
    || (given.firstElementChild && given.querySelector("iframe,frame")));
}
function visitAll(root) {
  const frames = [...(root.querySelectorAll ? root.querySelectorAll("iframe,frame") : [])];
  [root, ...frames].forEach(each => { if (each.contentWindow) visit(each.contentWindow); });
}
for (const [owner, names] of [
  [nodeProto, "appendChild insertBefore replaceChild"],
  [element, "append prepend replaceChildren before after replaceWith insertAdjacentElement moveBefore"],
  [proto("Document"), "append prepend replaceChildren"],
  [proto("DocumentFragment"), "append prepend replaceChildren"],
  [proto("CharacterData"), "before after replaceWith"],
  [proto("Range"), "insertNode"],
]) {
  for (const name of names.split(" ")) {
    wrap(owner, name, (args, that, call) => {
      const given = inserted(args, that);
      call.frames = given.filter(isWindowed).flatMap(each => each.nodeType === 11 ? [...each.children] : [each]);
      return given;
    }, (result, args, that, call) => call.frames.forEach(visitAll));
  }
}
const sheetText = (value, that) => that.localName === "style" || (that.parentNode && that.parentNode.localName === "style")
  ? mapCss(value) : that.nodeType === 2 ? mapAttribute(that.ownerElement, that.name, value) : value;
wrapSetter(nodeProto, "textContent", sheetText);
wrapSetter(nodeProto, "nodeValue", sheetText);
wrapSetter(proto("CharacterData"), "data", sheetText);
wrapSetter(proto("HTMLElement"), "innerText", sheetText);

// A window at about:blank or about:srcdoc. Where the first one goes no event tells, so it
// is looked at once the window has left.
function visit(child) {
  try {
    if (!child || child[mark] || !blank.test(child.location.href)) return;
    install(child);
    child.addEventListener("pagehide", () => setTimeout(settleWindow, 0, child, 100));
  } catch { /* another origin */ }
}
function settleWindow(child, times) {
  try {
    const { href } = child.location, mapped = map(href);
    if (blank.test(href) && times) setTimeout(settleWindow, 20, child, times - 1);
    else if (mapped !== href) child.location.replace(mapped);
  } catch { /* another origin */ }
}
for (const name of ["HTMLIFrameElement", "HTMLFrameElement", "HTMLObjectElement"]) {
  for (const property of ["contentWindow", "contentDocument"]) {
    const descriptor = proto(name) && getOwnPropertyDescriptor(proto(name), property);
    if (!descriptor || !descriptor.configurable) continue;
    const { get } = descriptor;
    descriptor.get = function () {
      const value = get.call(this);
      if (value) visit(property === "contentWindow" ? value : value.defaultView);
      return value;
    };
    defineProperty(proto(name), property, descriptor);
  }
}
// What is not set through any of these: properties of styles, frames of the parser.
new self.MutationObserver(records => {
  for (const { type, target, addedNodes } of records) {
    if (type === "childList") addedNodes.forEach(each => { if (isWindowed(each)) visitAll(each); });
    else {
      const text = getAttribute.call(target, "style");
      const changed = text && text.includes("url(") ? mapCss(text) : text;
      if (changed !== text) setAttribute.call(target, "style", changed);
    }
  }
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["style"] });

wrapSetter(proto("Document"), "cookie", value => !isString(value) || isForHost(value) ? value
  : value.replace(/(;\s*path\s*=\s*)([^;]*)/i, (all, before, path) => before + cookiePath(path.trim()))
    .replace(/;\s*domain\s*=\s*([^;]*)/i, (all, domain) => isSuffix(domain) ? all : ""));

// `location` cannot be wrapped, but what is assigned to it can be led under the prefix.
if (self.navigation) {
  self.navigation.addEventListener("navigate", event => {
    const { destination, navigationType } = event;
    if (event.userInitiated || !event.cancelable || event.hashChange || event.formData
        || event.downloadRequest !== null || !/^(?:push|replace)$/.test(navigationType)) return;
    const mapped = map(destination.url);
    if (mapped === destination.url) return;
    event.preventDefault();
    location[navigationType === "push" ? "assign" : "replace"](mapped);
  });
}
