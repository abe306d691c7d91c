// Makes the URLs that scripts compute go under the prefix of a service that believes it
// lives at "/". Put in front of all other scripts of a page or worker; runs once in each.
//
// Pages within the page that never came from a server (about:blank, about:srcdoc), and
// workers from blob: and data: URLs, have nobody else who would help them: they get the
// same from here. No comment may stand behind code: workers get all of it on one line.
(function runtime(prefix, hosts, base, site) {
  "use strict";
  const mark = Symbol.for("wsgiproxy.rebase:" + prefix);
  if (globalThis[mark]) return;
  const current = globalThis.document && globalThis.document.currentScript;
  const home = new URL(site || (current && current.src) || globalThis.location.href);
  const { defineProperty, getOwnPropertyDescriptor } = Object;
  const wanted = /^[\0- ]*(?:[/\\.]|https?:|wss?:)/i;
  const blank = /^about:(?:blank|srcdoc)/;
  const isString = value => typeof value === "string";

  // The upstream's own addresses are known by a fingerprint (FNV-1a), so none is told.
  function isOwn(host) {
    let hash = 0x811c9dc5;
    for (let i = 0; i < host.length; i++) hash = Math.imul(hash ^ host.charCodeAt(i), 0x01000193);
    return hosts.includes(hash >>> 0);
  }

  const isUnder = (path, root) => path === root || path.startsWith(root + "/");
  const cookiePath = path => isUnder(path, prefix) || path[0] !== "/" ? path : prefix + path;

  // The script for a worker, which has no file of ours.
  const source = `(${runtime})(${[prefix, hosts, base, home.href].map(value => JSON.stringify(value))});`;
  const blobs = new Map();
  const made = new Map();

  // -- one window or worker ---------------------------------------------------------------
  function install(self) {
    if (self[mark]) return;
    defineProperty(self, mark, { value: true });
    const { location, document, URL, Blob } = self;
    const here = () => (document && document.baseURI) || location.href;

    // The URL under the prefix; anything that must not change comes back as it is.
    function map(url) {
      if (!isString(url) && Object.prototype.toString.call(url) !== "[object URL]") return url;
      const text = String(url);
      if (!wanted.test(text)) return url;
      let to;
      try { to = new URL(text, here()); } catch { return url; }
      const ours = to.host === home.host;
      if (!/^(?:http|ws)s?:$/.test(to.protocol) || !(ours || isOwn(to.host))) return url;
      const under = isUnder(to.pathname, prefix);
      if ((ours && under) || !(under || isUnder(to.pathname, base))) return url;
      const path = (under ? to.pathname : prefix + to.pathname.slice(base.length)) + to.search + to.hash;
      if (to.protocol.startsWith("ws")) return home.protocol.replace("http", "ws") + "//" + home.host + path;
      return /^[\0- ]*[/\\](?![/\\])/.test(text) || !ours ? path : home.origin + path;
    }
    function isOurs(url) {
      try { url = new URL(map(url), here()); } catch { return false; }
      return url.host === home.host && isUnder(url.pathname, prefix);
    }

    const mapSet = text => !isString(text) ? text : text.replace(
      /(^|[,\s])(\/(?!\/)[^\s,]*|https?:[^\s,]*)/g, (all, before, url) => before + map(url));
    const mapAll = text => !isString(text) ? text : text.replace(/\S+/g, url => map(url));
    const mapCss = text => !isString(text) ? text : text.replace(
      /((?:url\(\s*|@import\s+)(?:["']|&quot;|&#0?39;)?)(\/(?!\/)[^\s"')&]*|https?:[^\s"')&]*)/gi,
      (all, before, url) => before + map(url));

    // -- functions and constructors --------------------------------------------------------
    function wrap(owner, name, change, after) {
      while (owner && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner);
      const descriptor = owner && getOwnPropertyDescriptor(owner, name);
      if (!descriptor || typeof descriptor.value !== "function" || !descriptor.configurable) return;
      descriptor.value = new Proxy(descriptor.value, {
        apply(target, that, args) {
          const result = Reflect.apply(target, that, change ? change(args, that) : args);
          if (after) after(result, args, that);
          return result;
        },
      });
      defineProperty(owner, name, descriptor);
    }
    function wrapClass(name, change = first) {
      const original = self[name];
      if (typeof original !== "function") return;
      const proxy = new Proxy(original, {
        construct: (target, args, made) =>
          Reflect.construct(target, change(args), made === proxy ? target : made),
      });
      defineProperty(self, name, { value: proxy, configurable: true, writable: true, enumerable: false });
      try { original.prototype.constructor = proxy; } catch { /* frozen by somebody */ }
    }
    function wrapSetter(owner, name, change, after) {
      const descriptor = owner && getOwnPropertyDescriptor(owner, name);
      if (!descriptor || !descriptor.set || !descriptor.configurable) return;
      const { set } = descriptor;
      descriptor.set = function (value) {
        set.call(this, change(value, this));
        if (after) after(this);
      };
      defineProperty(owner, name, descriptor);
    }
    const at = (index, change = map) => args => {
      if (args.length > index) (args = [...args])[index] = change(args[index]);
      return args;
    };
    const first = at(0);
    const proto = name => self[name] && self[name].prototype;

    // A hash of what is edited under way would be wrong; scripts and data are not edited.
    function request(args) {
      const init = args[1];
      args = first(args);
      if (!init || !init.integrity || !isOurs(args[0]) || /\.(?:m?js|json|wasm)(?:[?#]|$)/i.test(args[0])) return args;
      return [args[0], Object.create(init, { integrity: { value: "" } })];
    }

    // Workers from blob: and data: URLs get the script in front of their own.
    wrap(URL, "createObjectURL", null, (url, args) => { blobs.set(url, args[0]); });
    wrap(URL, "revokeObjectURL", null, (result, args) => {
      const own = made.get(args[0]);
      blobs.delete(args[0]);
      made.delete(args[0]);
      if (own) setTimeout(() => URL.revokeObjectURL(own), 10000);
    });
    function objectUrl(...parts) {
      return Reflect.apply(createObjectURL, URL, [new Blob(parts, { type: "text/javascript" })]);
    }
    const createObjectURL = URL.createObjectURL;
    function workerUrl(url, isModule) {
      const text = String(url);
      const data = /^data:[^,]*,/i.exec(text);
      if (data && /;\s*base64\s*,$/i.test(data[0])) {
        return data[0] + btoa(source.padEnd(Math.ceil(source.length / 3) * 3)) + text.slice(data[0].length);
      }
      if (data) return data[0] + encodeURIComponent(source) + text.slice(data[0].length);
      if (!/^blob:/i.test(text)) return map(url);
      if (!made.has(text)) {
        const code = JSON.stringify(text);
        const own = blobs.get(text) || (isModule ? `import ${code};` : `importScripts(${code});`);
        const start = isModule ? `import ${JSON.stringify(objectUrl(source))};` : source;
        made.set(text, objectUrl(start, own));
      }
      return made.get(text);
    }
    const worker = args => args.length
      ? [workerUrl(args[0], Boolean(args[1]) && args[1].type === "module"), ...[...args].slice(1)] : args;
    ["Worker", "SharedWorker"].forEach(name => wrapClass(name, worker));

    ["WebSocket", "EventSource", "WebTransport", "WebSocketStream", "Audio"].forEach(name => wrapClass(name));
    wrapClass("Request", request);
    wrapClass("FontFace", at(1, mapCss));
    wrap(self, "fetch", request);
    wrap(self, "importScripts", args => args.map(url => map(url)));
    wrap(self, "open", first, result => visit(result));
    wrap(proto("XMLHttpRequest"), "open", at(1));
    wrap(proto("Navigator"), "sendBeacon", first);
    wrap(proto("History"), "pushState", at(2));
    wrap(proto("History"), "replaceState", at(2));
    wrap(proto("Worklet"), "addModule", first);
    wrap(proto("Clients"), "openWindow", first);
    wrap(proto("WindowClient"), "navigate", first);
    wrap(proto("Cache"), "add", first);
    wrap(proto("Cache"), "addAll", args => [Array.from(args[0], url => map(url))]);
    ["match", "matchAll", "put", "delete", "keys"].forEach(name => wrap(proto("Cache"), name, first));
    wrap(proto("CacheStorage"), "match", first);
    wrap(proto("ServiceWorkerContainer"), "register", args => {
      const options = args[1] && args[1].scope !== undefined
        ? [{ ...args[1], scope: map(args[1].scope) }] : [...args].slice(1);
      return [map(args[0]), ...options];
    });
    wrap(proto("ServiceWorkerContainer"), "getRegistration", first);
    wrap(proto("CSSStyleSheet"), "insertRule", at(0, mapCss));
    ["replace", "replaceSync"].forEach(name => wrap(proto("CSSStyleSheet"), name, at(0, mapCss)));
    wrap(proto("CSSStyleDeclaration"), "setProperty", at(1, mapCss));
    wrapSetter(proto("CSSStyleDeclaration"), "cssText", mapCss);

    // A cookie without a path is for the whole service; a __Host- cookie must have the path
    // "/" and stays as it is.
    const isForHost = name => /^\s*__Host-/i.test(name);
    const isSuffix = domain => self.location.hostname.endsWith(domain.trim().replace(/^\./, ""));
    function cookie(args, options) {
      if (!args.length || isForHost(options.name)) return args;
      const { domain, path, ...rest } = options;
      if (domain && isSuffix(domain)) rest.domain = domain;
      return [{ ...rest, path: cookiePath(path || "/") }];
    }
    const named = value => typeof value === "object" && value ? value : { name: String(value) };
    wrap(proto("CookieStore"), "set", args => args.length > 1
      ? cookie(args, { name: String(args[0]), value: String(args[1]) })
      : typeof args[0] === "object" && args[0] ? cookie(args, args[0]) : args);
    wrap(proto("CookieStore"), "delete", args => cookie(args, named(args[0])));
    if (!document) return;

    // -- the document -----------------------------------------------------------------------
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
        let frames = [];
        wrap(owner, name, (args, that) => {
          const given = inserted(args, that);
          frames = given.filter(isWindowed).flatMap(each => each.nodeType === 11 ? [...each.children] : [each]);
          return given;
        }, () => frames.splice(0).forEach(visitAll));
      }
    }
    const sheetText = (value, that) => that.localName === "style" || (that.parentNode && that.parentNode.localName === "style")
      ? mapCss(value) : that.nodeType === 2 ? mapAttribute(that.ownerElement, that.name, value) : value;
    wrapSetter(nodeProto, "textContent", sheetText);
    wrapSetter(nodeProto, "nodeValue", sheetText);
    wrapSetter(proto("CharacterData"), "data", sheetText);
    wrapSetter(proto("HTMLElement"), "innerText", sheetText);

    // A window at about:blank or about:srcdoc.
    function visit(child) {
      try { if (child && blank.test(child.location.href)) install(child); } catch { /* another origin */ }
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
  }
  install(globalThis);
})
