#!/bin/sh
# From an empty directory to an update: what docs/embedding.md shows. A test runs it as it stands here.
set -eu

# [repository]
port=${PORT:-8000}
repo-tool --repo repository init --generate ed25519 --root-key 'file:keys/root.pem?encryption=none' \
    --targets-key 'file:keys/targets.pem?encryption=none' \
    --snapshot-key 'file:keys/online.pem?encryption=none' --timestamp-key 'file:keys/online.pem?encryption=none'
echo 'the firmware' >fw.img
repo-tool --repo repository target add fw.img --name fw.img
repo-tool --repo repository sign
repo-tool --repo repository publish
python3 -m http.server --bind 127.0.0.1 --directory repository/published "$port" &
# [end repository]
trap 'kill $!' EXIT
for _ in 1 2 3 4 5 6 7 8 9 10; do
    python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null && break
    sleep 0.5
done

# [update]
cp "$(pkg-config --variable=examples countersign)/c/update.c" .
cc update.c -o update $(pkg-config --cflags --libs countersign)
./update --metadata-dir state init repository/published/metadata/1.root.json
./update --metadata-dir state --metadata-url "http://127.0.0.1:$port/metadata" --target-name fw.img \
    --target-base-url "http://127.0.0.1:$port/targets" --target-dir images download
# [end update]
cmp fw.img images/fw.img

# [tamper]
for file in repository/published/targets/*fw.img; do printf X | dd of="$file" conv=notrunc status=none; done
rm images/fw.img
./update --metadata-dir state --metadata-url "http://127.0.0.1:$port/metadata" --target-name fw.img \
    --target-base-url "http://127.0.0.1:$port/targets" --target-dir images download || echo 'no such image'
# [end tamper]
test ! -e images/fw.img
