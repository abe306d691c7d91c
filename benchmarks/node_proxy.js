// http-proxy-middleware on Node's own server: node node_proxy.js PORT UPSTREAM_URL
const http = require("http");
const { createProxyMiddleware } = require("http-proxy-middleware");

const [port, target] = process.argv.slice(2);
const proxy = createProxyMiddleware({
  target,
  agent: new http.Agent({ keepAlive: true, maxSockets: 64 }),
  pathRewrite: { "^/new_req": "" },
});
http.createServer((request, response) => {
  proxy(request, response, () => response.writeHead(404).end());
}).listen(Number(port), "127.0.0.1");
