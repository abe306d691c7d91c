"""Header fields by which a client could claim to be somebody, or to come from somewhere.

Services behind a login or a proxy believe such fields, because only the login or the proxy can
set them. So a client's own never pass. Names are compared *folded*: see
:func:`~wsgiproxy.protocol.fields.fold_name`. Each group names the software that the fields come
from, and by whose documentation.
"""

from __future__ import annotations

from .fields import HOP_BY_HOP, fold_name, join_name

__all__ = ["BELIEVED", "CLIENT_CLAIMS", "IDENTITY", "is_claim", "is_identity", "is_unwanted"]


def _folded(names: str) -> tuple[str, ...]:
    return tuple(fold_name(name) for name in names.split())


#: Fields that say who the user is, folded. They never pass, whoever sends them.
IDENTITY = frozenset(
    _folded(
        # CGI (RFC 3875, 4.1.11) and what Apache, Authelia and Gitea make of it
        """Remote-User Remote-Name Remote-Email Remote-Group Remote-Groups Remote-Userdata
        X-Remote-User X-Remote-Name X-Remote-Email X-Remote-Groups X-Remote-Userdata
        Remote-Ident Auth-Type Auth-Password"""
        # Kubernetes: "Authenticating Proxy"
        " X-Remote-Group X-Remote-Uid"
        # forward authentication as nginx's, Traefik's and Caddy's guides spell it
        """ X-User X-Username X-User-Name X-User-Email X-User-Groups X-User-Roles X-Auth-User
        X-Auth-Userid X-Auth-Username X-Auth-Name X-Auth-Email X-Auth-Groups X-Auth-Roles
        X-Auth-Subject X-Proxy-User X-Proxy-Remote-User X-Sso-User X-Userinfo"""
        # oauth2-proxy: "Header options", and Jenkins's plugin "Reverse Proxy Auth"
        """ X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Access-Token
        X-Forwarded-Preferred-Username X-Forwarded-DisplayName"""
        # Kong: "Key Auth", "Upstream headers"
        """ X-Authenticated-User X-Authenticated-Userid X-Authenticated-Groups
        X-Authenticated-Scope X-Consumer-Id X-Consumer-Custom-Id X-Consumer-Username
        X-Consumer-Groups X-Credential-Identifier X-Credential-Username X-Anonymous-Consumer"""
        # LemonLDAP::NG: "Exported headers"; Shibboleth: "Spoof Checking"
        " Auth-User Auth-Cn Auth-Mail Auth-Groups Eppn"
        # SiteMinder, Oracle Access Manager, IBM WebSEAL, Posit Workbench
        """ Sm-User Sm-Userdn Sm-Usergroups Oam-Remote-User Iv-User Iv-User-L Iv-Groups Iv-Creds
        X-Rstudio-Username"""
        # client certificates: RFC 9440; Envoy; Azure App Service; nginx and HAProxy by custom
        """ Client-Cert Client-Cert-Chain X-Forwarded-Client-Cert X-Arr-ClientCert
        X-Client-Dn X-Client-Verify X-Client-S-Dn Cf-Client-Cert-Der-Base64
        Cf-Client-Cert-Sha256"""
        # Google App Engine: "Identity-Aware Proxy" and "Request headers"
        " X-Appengine-User-Email X-Appengine-User-Id X-Appengine-User-Is-Admin"
        # Cloudflare Access: "Validate JWTs". Cf-Access-Client-* are a client's own credentials.
        " Cf-Access-Jwt-Assertion"
        # Teleport: "JWT authentication"
        " Teleport-Jwt-Assertion"
    )
)

#: What the folded names of whole families begin with.
IDENTITY_FAMILIES = _folded(
    # Apache's mod_ssl and ingress-nginx: "Client Certificate Authentication"; Google and HAProxy
    "Ssl-Client X-Ssl-Client X-Client-Cert X-Client-Ssl"
    # Traefik: "PassTLSClientCert"; AWS: "Mutual authentication with TLS"
    " X-Forwarded-Tls-Client X-Amzn-Mtls"
    # Kubernetes: "Authenticating Proxy"
    " X-Remote-Extra"
    # oauth2-proxy: "Header options"
    " X-Auth-Request"
    # Grafana and Gitea: "Auth proxy"
    " X-WebAuth"
    # authentik: "Proxy provider", "Headers"
    " X-Authentik"
    # Google: "Getting the user's identity" behind the Identity-Aware Proxy
    " X-Goog-Authenticated-User X-Goog-Iap"
    # AWS: "Authenticate users using an Application Load Balancer"
    " X-Amzn-Oidc"
    # Azure App Service: "Work with user identities"
    " X-Ms-Client-Principal X-Ms-Token"
    # Tailscale: "Identity headers" of serve, and nginx-auth
    " Tailscale"
    # Vouch Proxy: README, "Support for multiple claims"
    " X-Vouch"
    # Cloudflare Access: "Application token"
    " Cf-Access-Authenticated"
    # Pomerium: "Pass Identity Headers"
    " X-Pomerium"
    # mod_auth_openidc: OIDCPassClaimsAs; Shibboleth: "Spoof Checking"
    " Oidc-Claim Oidc-Access-Token Oidc-Id-Token Shib"
)

#: Fields that say where a request came from or went to, folded.
CLIENT_CLAIMS = frozenset(
    _folded(
        # RFC 7239, and what was there before it; nginx, Squid, AWS, Rackspace by custom
        """Forwarded Forwarded-For Remote-Addr Remote-Host X-Real-Ip X-Client-Ip Client-Ip
        X-Cluster-Client-Ip X-Originating-Ip X-Remote-Ip X-Remote-Addr X-ProxyUser-Ip"""
        # WebLogic: "WebLogic Plug-In Enabled"
        " Proxy-Client-Ip Wl-Proxy-Client-Ip Wl-Proxy-Ssl"
        # ingress-nginx, IIS URL Rewrite, Symfony and Zend: paths other than the one that is asked
        """ X-Original-Forwarded-For X-Original-Host X-Original-Url X-Original-Uri
        X-Original-Method X-Rewrite-Url X-Script-Name X-Host X-Http-Host-Override X-Url-Scheme
        X-Scheme Front-End-Https X-Arr-Ssl"""
        # Cloudflare, Akamai, Fastly, Fly, Netlify, Azure Front Door, App Engine, Envoy
        """ True-Client-Ip Cf-Connecting-Ip Cf-Connecting-Ipv6 Cf-Pseudo-Ipv4 Cf-Visitor
        Fastly-Client-Ip Fastly-Ssl Fly-Client-Ip Fly-Forwarded-Port Fly-Forwarded-Proto
        X-Nf-Client-Connection-Ip X-Azure-ClientIp X-Azure-SocketIp X-Appengine-User-Ip
        X-Appengine-Cron X-Appengine-Queuename X-Appengine-Inbound-Appid
        X-Envoy-External-Address X-Envoy-Internal X-Envoy-Original-Path X-Vercel-Forwarded-For"""
        # orders of a front server: Rack::Sendfile (CVE-2025-61780)
        " X-Sendfile-Type X-Accel-Mapping"
    )
)

#: The claims that count if they come from one of the ``trusted_proxies``, as environ keys
#: spell them: README, "Two ways to be seen". In another spelling they are nobody's.
BELIEVED = frozenset(
    (
        "FORWARDED",
        "X_FORWARDED_FOR",
        "X_FORWARDED_HOST",
        "X_FORWARDED_PORT",
        "X_FORWARDED_PREFIX",
        "X_FORWARDED_PROTO",
    )
)

# What frames a message or ends at a proxy. A server may take another spelling for the field
# itself, and the fields themselves are ours to write.
_EXACT = frozenset(
    name.upper().replace("-", "") for name in (*HOP_BY_HOP, "content-length", "content-type")
)
# CVE-2016-5385: CGI makes HTTP_PROXY of it, which clients of HTTP believe.
_PROXY = "PROXY"


def is_identity(folded: str) -> bool:
    """Whether this (folded) name tells a service who the user is."""
    return folded in IDENTITY or folded.startswith(IDENTITY_FAMILIES)


def is_claim(folded: str) -> bool:
    """Whether this (folded) name tells where a request came from or went to."""
    return folded in CLIENT_CLAIMS or folded.startswith("XFORWARDED")


def is_unwanted(name: str, trusted: bool = False) -> bool:
    """Whether a client's field must not reach the upstream, whatever its value.

    :param name: as an environ key has it, without ``HTTP_``.
    :param trusted: whether the peer is one of the ``trusted_proxies``.
    """
    folded = fold_name(name)
    if folded == _PROXY or is_identity(folded) or join_name(name) in _EXACT:
        return True
    return is_claim(folded) and not (trusted and name in BELIEVED)
