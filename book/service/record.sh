#!/bin/sh
# /srv/pump/record.sh
cd /srv/pump/inbox || exit
while sleep 590; do
    name=$(date +%Y%m%d-%H%M%S).wav
    # arecord -l lists the microphones, -D plughw:1,0 chooses one
    arecord -q -f S16_LE -r 16000 -c 1 -d 10 ".$name" && mv ".$name" "$name"
done
