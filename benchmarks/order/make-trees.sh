#!/usr/bin/env bash
# Builds the root file systems that benchmarks/order starts: eight servers from Debian packages, each in two versions.
#
#   make-trees.sh DIRECTORY [APP…]
#
# DIRECTORY/APP-old has the point release alone, DIRECTORY/APP-new the security suite too, as a rebuild of an image has it. DIRECTORY/APP.cmd is how it is started. What is there is kept.
set -euo pipefail

into=$1
shift
apps=("$@")
[ ${#apps[@]} -gt 0 ] || apps=(redis memcached nginx postgres python node java tomcat)
suite=bookworm
mkdir -p "$into"

repo() { apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 2>/dev/null | awk -v r="$1" '$2 == r { print $1; exit }'; }
mirror=$(repo "$suite")
security=$(repo "$suite-security")
mirror=${mirror:-http://deb.debian.org/debian/}
security=${security:-http://deb.debian.org/debian-security/}
log=$into/log

in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$@"; }

base() { # age
  local root=$into/base-$1
  [ -e "$root.done" ] && return
  rm -rf "$root"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >"$log" 2>&1
  printf 'deb %s %s main\n' "$mirror" "$suite" >"$root/etc/apt/sources.list"
  [ "$1" = old ] || printf 'deb %s %s-security main\n' "$security" "$suite" >>"$root/etc/apt/sources.list"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 0755 "$root/usr/sbin/policy-rc.d"
  cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
  in_root "$root" apt-get update -qq >"$log" 2>&1
  [ "$1" = old ] || in_root "$root" apt-get dist-upgrade -y -qq >"$log" 2>&1
  touch "$root.done"
}

packages() {
  case $1 in
    redis) echo redis-server redis-tools ;;
    memcached) echo memcached ;;
    nginx) echo nginx-light ;;
    postgres) echo postgresql-15 ;;
    python) echo python3-flask python3-requests python3-sqlalchemy ;;
    node) echo nodejs node-express ;;
    java) echo openjdk-17-jre-headless ;;
    tomcat) echo openjdk-17-jre-headless tomcat10 ;;
  esac
}

command() {
  case $1 in
    redis) echo redis-server --port 7001 --save "''" --dir /tmp ;;
    memcached) echo memcached -u nobody -p 7002 ;;
    nginx) echo nginx -g "'daemon off;'" ;;
    postgres) echo docker-entrypoint.sh postgres ;;
    python) echo python3 /srv/app.py ;;
    node) echo node /srv/app.js ;;
    java) echo java -cp /srv/app.jar Main ;;
    tomcat) echo catalina.sh run ;;
  esac
}

configure() { # app root
  local root=$2
  mkdir -p "$root/srv" "$root/usr/local/bin"
  case $1 in
    nginx)
      sed -i 's/listen \(\[::\]:\)\?80 /listen \17003 /' "$root/etc/nginx/sites-available/default"
      ;;
    postgres)
      cat >"$root/usr/local/bin/docker-entrypoint.sh" <<'SH'
#!/bin/bash
set -e
export PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data
mkdir -p /run/postgresql "$PGDATA"
chown postgres:postgres /run/postgresql "$PGDATA"
cd /
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  setpriv --reuid=postgres --regid=postgres --clear-groups initdb -D "$PGDATA" >/dev/null
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@" -p 7004
SH
      chmod 0755 "$root/usr/local/bin/docker-entrypoint.sh"
      ;;
    python)
      cat >"$root/srv/app.py" <<'PY'
import logging
import requests
from flask import Flask
from sqlalchemy import create_engine, text

app = Flask(__name__)
engine = create_engine("sqlite://")

@app.route("/")
def index():
    with engine.connect() as connection:
        return str(connection.execute(text("select 1")).scalar())

app.run(port=7005)
PY
      ;;
    node)
      cat >"$root/srv/app.js" <<'JS'
const express = require('express');
const app = express();
app.get('/', (request, response) => response.send('hello'));
app.listen(7006);
JS
      ;;
    java)
      local work
      work=$(mktemp -d)
      cat >"$work/Main.java" <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Main {
    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 7007), 0);
        server.createContext("/", exchange -> { exchange.sendResponseHeaders(200, 2); exchange.getResponseBody().write("ok".getBytes()); exchange.close(); });
        server.start();
    }
}
JAVA
      (cd "$work" && javac --release 17 Main.java && jar --create --file "$root/srv/app.jar" ./*.class)
      rm -rf "$work"
      ;;
    tomcat)
      sed -i 's/port="8080"/port="7008"/' "$root/etc/tomcat10/server.xml"
      cat >"$root/usr/local/bin/catalina.sh" <<'SH'
#!/bin/sh
export CATALINA_HOME=/usr/share/tomcat10 CATALINA_BASE=/var/lib/tomcat10 CATALINA_TMPDIR=/tmp
exec /usr/share/tomcat10/bin/catalina.sh "$@"
SH
      chmod 0755 "$root/usr/local/bin/catalina.sh"
      ;;
  esac
}

for age in old new; do
  base $age
done
for app in "${apps[@]}"; do
  command "$app" >"$into/$app.cmd"
  for age in old new; do
    root=$into/$app-$age
    [ -e "$root.done" ] && continue
    rm -rf "$root"
    cp -a "$into/base-$age" "$root"
    mount -t proc proc "$root/proc"
    # shellcheck disable=SC2046
    in_root "$root" apt-get install -y -qq --no-install-recommends $(packages "$app") >"$log" 2>&1 || { umount "$root/proc"; tail -5 "$log" >&2; exit 1; }
    umount "$root/proc"
    configure "$app" "$root"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt "$root"/var/cache/ldconfig/*
    touch "$root.done"
    echo "$root"
  done
done
