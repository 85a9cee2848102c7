#!/bin/sh
# /srv/pump/alarm.sh
least=20 last=60 journal=/srv/pump/pump.jsonl told=,
count() { tail -n $last $journal | grep "$own" | grep -c "$1"; }
tell() {
    case $told in *",$1,"*) return ;; esac
    { printf '%s\n' "$line"; tail -n $last $journal; } | mail -s "$1" maintenance
    told=$told$1,
}
while read -r line; do
    own=$(tail -n 1 $journal | grep -o '"detector": "[^"]*"')
    odd=$(count '"verdict": "anomaly"') changed=$(count '"verdict": "[a-z]* changed')
    case $line in
        "error: "*) tell 'A recording of the pump cannot be judged' ;;
        *) [ $((2 * (odd + changed))) -ge $least ] || told=, ;;
    esac
    [ "$odd" -lt $least ] || tell 'The pump sounds odd'
    [ "$changed" -lt $least ] || tell 'Check the microphone of the pump'
done
