// Makes the URLs that scripts compute go under the prefix of a service that believes it
// lives at "/". Put in front of all other scripts of a page or worker; runs once.
(function (prefix, hosts, base) {
  "use strict";
  const self = globalThis;
  const mark = Symbol.for("wsgiproxy.rebase:" + prefix);
  if (self[mark]) return;
  Object.defineProperty(self, mark, { value: true });
  const { location, document } = self;
  const { defineProperty, getOwnPropertyDescriptor } = Object;
  const wanted = /^[\0- ]*(?:[/\\.]|https?:|wss?:)/i;

  // The upstream's own addresses are known by a fingerprint (FNV-1a), so none is told.
  function isOwn(host) {
    let hash = 0x811c9dc5;
    for (let i = 0; i < host.length; i++) hash = Math.imul(hash ^ host.charCodeAt(i), 0x01000193);
    return hosts.includes(hash >>> 0);
  }

  const isUnder = (path, root) => path === root || path.startsWith(root + "/");

  // The URL under the prefix; anything that must not change comes back as it is.
  function map(url) {
    if (typeof url !== "string" && !(url instanceof URL)) return url;
    const text = String(url);
    if (!wanted.test(text)) return url;
    let to;
    try { to = new URL(text, (document && document.baseURI) || location.href); } catch { return url; }
    const ours = to.host === location.host;
    if (!/^(?:http|ws)s?:$/.test(to.protocol) || !(ours || isOwn(to.host))) return url;
    const under = isUnder(to.pathname, prefix);
    if ((ours && under) || !(under || isUnder(to.pathname, base))) return url;
    const path = (under ? to.pathname : prefix + to.pathname.slice(base.length)) + to.search + to.hash;
    if (to.protocol.startsWith("ws")) return location.protocol.replace("http", "ws") + "//" + location.host + path;
    return /^[\0- ]*[/\\](?![/\\])/.test(text) || !ours ? path : location.origin + path;
  }

  const mapSet = text => typeof text !== "string" ? text : text.replace(
    /(^|[,\s])(\/(?!\/)[^\s,]*|https?:[^\s,]*)/g, (all, before, url) => before + map(url));
  const mapAll = text => typeof text !== "string" ? text : text.replace(/\S+/g, url => map(url));
  const mapCss = text => typeof text !== "string" ? text : text.replace(
    /(url\(\s*["']?|@import\s+["'])(\/(?!\/)[^\s"')]*|https?:[^\s"')]*)/gi,
    (all, before, url) => before + map(url));

  // -- functions and constructors ----------------------------------------------------
  function wrap(owner, name, change) {
    while (owner && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner);
    const descriptor = owner && getOwnPropertyDescriptor(owner, name);
    if (!descriptor || typeof descriptor.value !== "function" || !descriptor.configurable) return;
    descriptor.value = new Proxy(descriptor.value, {
      apply: (target, that, args) => Reflect.apply(target, that, change(args, that)),
    });
    defineProperty(owner, name, descriptor);
  }
  function wrapClass(name) {
    const original = self[name];
    if (typeof original !== "function") return;
    const proxy = new Proxy(original, {
      construct: (target, args, made) =>
        Reflect.construct(target, first(args), made === proxy ? target : made),
    });
    defineProperty(self, name, { value: proxy, configurable: true, writable: true, enumerable: false });
    try { original.prototype.constructor = proxy; } catch { /* frozen by somebody */ }
  }
  const at = index => args => {
    if (args.length > index) (args = [...args])[index] = map(args[index]);
    return args;
  };
  const first = at(0);
  const proto = name => self[name] && self[name].prototype;

  ["Request", "WebSocket", "EventSource", "Worker", "SharedWorker", "Audio"].forEach(wrapClass);
  wrap(self, "fetch", first);
  wrap(self, "importScripts", args => args.map(url => map(url)));
  wrap(self, "open", first);
  wrap(proto("XMLHttpRequest"), "open", at(1));
  wrap(proto("Navigator"), "sendBeacon", first);
  wrap(proto("History"), "pushState", at(2));
  wrap(proto("History"), "replaceState", at(2));
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
  wrap(proto("CookieStore"), "set", args => args[0] && args[0].path
    ? [{ ...args[0], path: cookiePath(args[0].path) }] : args);
  wrap(proto("CSSStyleSheet"), "insertRule", args => [mapCss(args[0]), ...[...args].slice(1)]);
  ["replace", "replaceSync"].forEach(name =>
    wrap(proto("CSSStyleSheet"), name, args => [mapCss(args[0])]));

  function cookiePath(path) {
    return isUnder(path, prefix) || path[0] !== "/" ? path : prefix + path;
  }
  if (!document) return;

  // -- the document -------------------------------------------------------------------
  const one = map;
  const kinds = {
    href: one, src: one, action: one, formaction: one, poster: one, cite: one, background: one,
    longdesc: one, "xlink:href": one, srcset: mapSet, imagesrcset: mapSet, ping: mapAll, style: mapCss,
  };
  function mapAttribute(element, name, value) {
    const kind = String(name).toLowerCase();
    if (kind === "data" && element.localName === "object") return map(value);
    return Object.hasOwn(kinds, kind) ? kinds[kind](value) : value;
  }
  const element = proto("Element");
  wrap(element, "setAttribute", (args, that) => args.length < 2 ? args
    : [args[0], mapAttribute(that, args[0], args[1])]);
  wrap(element, "setAttributeNS", (args, that) => args.length < 3 ? args
    : [args[0], args[1], mapAttribute(that, args[1], args[2])]);

  function wrapSetter(owner, name, change) {
    const descriptor = owner && getOwnPropertyDescriptor(owner, name);
    if (!descriptor || !descriptor.set || !descriptor.configurable) return;
    const { set } = descriptor;
    descriptor.set = function (value) { return set.call(this, change(value)); };
    defineProperty(owner, name, descriptor);
  }
  for (const [names, properties] of [
    ["Anchor Area Base Link", "href"], ["Anchor", "ping:all"],
    ["Script Image IFrame Frame Embed Input Media Source Track", "src"],
    ["Image Source", "srcset:set"], ["Link", "imageSrcset:set"], ["Video", "poster"],
    ["Form", "action"], ["Input Button", "formAction"], ["Object", "data"],
    ["Quote Mod", "cite"], ["Body", "background"],
  ]) {
    const [property, kind] = properties.split(":");
    const change = kind === "set" ? mapSet : kind === "all" ? mapAll : one;
    for (const name of names.split(" ")) wrapSetter(proto("HTML" + name + "Element"), property, change);
  }
  wrapSetter(proto("SVGAnimatedString"), "baseVal", value => typeof value === "string" && value[0] === "/" ? map(value) : value);

  // Markup as text: only what stands in a tag and begins like one of our URLs changes.
  const tags = /<[a-z](?:[^>"']|"[^"]*"|'[^']*')*>/gi;
  const attribute = /([\s"'/](?:href|src|action|formaction|poster|cite|background|xlink:href|srcset|style|data)\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s>"']+))/gi;
  const mapMarkup = text => typeof text !== "string" || !text.includes("=") ? text : text.replace(
    tags, tag => tag.replace(attribute, (all, before, double, single, bare) => {
      const kind = /([\w:]+)\s*=\s*$/.exec(before)[1].toLowerCase();
      if (kind === "data" && !/^<object/i.test(tag)) return all;
      const value = double ?? single ?? bare;
      const changed = (kinds[kind] || one)(value);
      if (changed === value) return all;
      const quote = double !== undefined ? '"' : single !== undefined ? "'" : "";
      return before + quote + changed + quote;
    }));
  for (const owner of [element, proto("ShadowRoot")]) {
    wrapSetter(owner, "innerHTML", mapMarkup);
    wrap(owner, "setHTMLUnsafe", args => [mapMarkup(args[0]), ...[...args].slice(1)]);
  }
  wrapSetter(element, "outerHTML", mapMarkup);
  wrap(element, "insertAdjacentHTML", args => args.length < 2 ? args : [args[0], mapMarkup(args[1])]);
  wrap(proto("Range"), "createContextualFragment", args => [mapMarkup(args[0])]);
  ["write", "writeln"].forEach(name => wrap(proto("Document"), name, args => args.map(mapMarkup)));

  // A __Host- cookie must have the path "/" and stays as it is.
  wrapSetter(proto("Document"), "cookie", value => typeof value !== "string" || /^\s*__Host-/i.test(value) ? value
    : value.replace(/(;\s*path\s*=\s*)([^;]*)/i, (all, before, path) => before + cookiePath(path.trim()))
      .replace(/;\s*domain\s*=\s*([^;]*)/i, (all, domain) => self.location.hostname.endsWith(domain.trim().replace(/^\./, "")) ? all : ""));

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
})
