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
          const call = {};
          const result = Reflect.apply(target, that, change ? change(args, that, call) : args);
          if (after) after(result, args, that, call);
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

    // The rest is in runtime_document.js.
  }
  install(globalThis);
})
