#!/bin/bash
# Make error.log, access.log and postgresql.log: real programs, a real fault. See HOW.md.
#
#   make-log.sh OUTPUT_DIRECTORY        as an ordinary user; about three minutes; loopback only
#
# Needs Debian 12 packages: nginx-light postgresql python3-psycopg2 curl
set -euo pipefail
export TZ=UTC LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1

out=$(realpath "${1:?usage: make-log.sh OUTPUT_DIRECTORY}")
work=$(mktemp -d)
nginx=$(command -v nginx || echo /usr/sbin/nginx)
pg=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
healthy_seconds=60 broken_seconds=90 one_process_less=60 shoppers=4
jobs_to_end=()

finish() {
    for job in "${jobs_to_end[@]}"; do kill "$job" 2>/dev/null || true; done
    "$nginx" -p "$work" -c nginx.conf -e error.log -s stop 2>/dev/null || true
    "$pg/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT

# --- the database: 20 slots, 3 of them kept for superusers; Debian's log_line_prefix
"$pg/initdb" -D "$work/data" -U owner -A trust >/dev/null
cat >>"$work/data/postgresql.conf" <<CONF
port = 54320
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 20
superuser_reserved_connections = 3
log_line_prefix = '%m [%p] %q%u@%d '
CONF
"$pg/pg_ctl" -D "$work/data" -l "$work/postgresql.log" -w start >/dev/null
"$pg/psql" -q -h 127.0.0.1 -p 54320 -U owner postgres <<'SQL'
CREATE ROLE shop LOGIN;
CREATE ROLE report LOGIN;
CREATE DATABASE shop OWNER shop;
\connect shop shop
CREATE TABLE product AS SELECT id, 'product ' || id AS name, id * 100 AS cents FROM generate_series(1, 50) AS id;
GRANT SELECT ON product TO report;
SQL

# --- the shop: two processes, one connection for each request; a full database is tried again for 5 s
cat >"$work/shop.py" <<'PY'
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import psycopg2

def query(sql):
    until = time.monotonic() + 5
    while True:
        try:
            link = psycopg2.connect("host=127.0.0.1 port=54320 dbname=shop user=shop")
            break
        except psycopg2.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(2)
    try:
        with link.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        link.close()

class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, body = 200, repr(query("SELECT id, name, cents FROM product ORDER BY random() LIMIT 5"))
        except psycopg2.OperationalError as error:
            status, body = 503, str(error)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())
    do_POST = do_GET
    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
PY
for port in 9101 9102; do
    /usr/bin/python3 "$work/shop.py" "$port" 2>/dev/null &
    jobs_to_end+=($!)
done

# --- the web server
mkdir "$work/html"
echo '<h1>shop.example</h1>' >"$work/html/index.html"
cat >"$work/nginx.conf" <<CONF
pid nginx.pid;
worker_processes 2;
error_log error.log warn;
events { worker_connections 256; }
http {
    access_log access.log combined;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    upstream shop { server 127.0.0.1:9101 max_fails=0; server 127.0.0.1:9102 max_fails=0; }
    server {
        listen 127.0.0.1:8480;
        server_name shop.example;
        root html;
        location = / { default_type text/html; try_files /index.html =404; }
        location / {
            proxy_pass http://shop;
            proxy_connect_timeout 1s;
            proxy_read_timeout 2s;
        }
    }
}
CONF
"$nginx" -p "$work" -c nginx.conf -e error.log
sleep 1

# --- traffic: each shopper walks through the shop, again and again
shopper() {
    local end=$((SECONDS + healthy_seconds + broken_seconds)) paths i=$1
    paths=(/ /product/7 /product/12 /cart /checkout)
    while ((SECONDS < end)); do
        path=${paths[i++ % 5]}
        method=GET; [[ $path == /checkout ]] && method=POST
        curl -s -o "$work/answer.$1" -X "$method" -H 'Host: shop.example' "http://127.0.0.1:8480$path" || true
        sleep 0.6
    done
}
shoppers_running=()
for n in $(seq "$shoppers"); do shopper "$n" & shoppers_running+=($!); done
jobs_to_end+=("${shoppers_running[@]}")
sleep "$healthy_seconds"

# --- the fault: a report job that opens connections and never closes one
cat >"$work/report.py" <<'PY'
import time
import psycopg2

links = []
while True:
    try:
        links.append(psycopg2.connect("host=127.0.0.1 port=54320 dbname=shop user=report"))
        links[-1].cursor().execute("SELECT sum(cents) FROM product")
    except psycopg2.OperationalError:
        time.sleep(5)
    time.sleep(0.2)
PY
/usr/bin/python3 "$work/report.py" &
jobs_to_end+=($!)
sleep "$one_process_less"
# ... and, one minute into it, one of the two shop processes is ended
kill "${jobs_to_end[1]}"
wait "${shoppers_running[@]}"

# Taken while the fault lasts: an incident is handed over before it is repaired.
cp "$work/error.log" "$work/access.log" "$work/postgresql.log" "$out/"
"$nginx" -v
"$pg/postgres" --version
