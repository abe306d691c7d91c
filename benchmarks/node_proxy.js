// http-proxy-middleware on Node's own server: node node_proxy.js PORT UPSTREAM_URL [keep]
// As it comes it opens a connection for every request; "keep" gives it an agent that keeps them.
const http = require("http");
const { createProxyMiddleware } = require("http-proxy-middleware");

const [port, target, keep] = process.argv.slice(2);
const proxy = createProxyMiddleware({
  target,
  agent: keep ? new http.Agent({ keepAlive: true, maxSockets: 64 }) : undefined,
  pathRewrite: { "^/new_req": "" },
});
http.createServer((request, response) => {
  proxy(request, response, () => response.writeHead(404).end());
}).listen(Number(port), "127.0.0.1");
