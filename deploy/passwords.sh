#!/bin/sh
# Makes a password for each user of deploy/auth.conf, for the routes between the servers and for Grafana, and writes
# them with their bcrypt hashes to .env, which docker compose reads. What is there already it leaves alone.
#   sh deploy/passwords.sh [FILE]
set -eu

file=${1:-.env}
if [ -e "$file" ]; then
  echo "passwords.sh: $file is there: remove it first for new passwords" >&2
  exit 1
fi

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# nats-server reads bcrypt from a variable only if it begins with $2a$; htpasswd writes $2y$, which is the same.
hash() {
  if command -v htpasswd > /dev/null; then
    printf '%s' "$1" | htpasswd -niBC 11 user
  elif command -v nats > /dev/null; then
    nats server passwd --pass "$1"
  else
    docker run --rm natsio/nats-box:0.19.7 nats server passwd --pass "$1"
  fi | sed -n 's/^.*\(\$2[aby]\$[0-9][0-9]\$[./A-Za-z0-9]\{53\}\).*$/\1/p' | sed 's/^\$2[by]/$2a/'
}

umask 077
new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
for user in WORKER ADMIN SYSTEM OPERATOR PIPELINE FRAUD_TRAINER FRAUD_AGENT FRAUD_SCIENTIST; do
  password=$(random)
  hashed=$(hash "$password")
  if [ -z "$hashed" ]; then
    echo "passwords.sh: no hash for $user: install htpasswd (apache2-utils), the nats CLI or docker" >&2
    exit 1
  fi
  printf "RETUNE_%s_PASSWORD=%s\nRETUNE_%s_HASH='%s'\n" "$user" "$password" "$user" "$hashed" >> "$new"
done
printf 'RETUNE_ROUTE_PASSWORD=%s\nRETUNE_GRAFANA_PASSWORD=%s\n' "$(random)" "$(random)" >> "$new"
mv "$new" "$file"
echo "passwords.sh: wrote $file, for you alone; the password of Grafana's admin is RETUNE_GRAFANA_PASSWORD" >&2
