#!/bin/sh
# The wrapped application under waitress-serve; any other WSGI server does as well.
#
#     python -m http.server 9999 &
#     sh waitress_serve.sh
cd "$(dirname "$0")" || exit
exec waitress-serve --listen=127.0.0.1:8080 --threads=32 --channel-request-lookahead=5 \
    plain_wsgi:application
