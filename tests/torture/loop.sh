#!/bin/bash
# A loop with traps and background jobs; writes what happened, in an order that does not depend on time.
trap 'usr1=$((usr1 + 1))' USR1
trap 'echo "exit $total" >> result' EXIT
trap '' HUP
total=0 usr1=0
count() { local n=0; while ((n < 400)); do n=$((n + 1)); done; echo "$1 $n" > "job-$1"; exit $(($1 % 7)); }
for ((i = 0; i < $1; i++)); do
    count "$i" & first=$!
    (count "$((i + 100000))") & second=$!
    kill -USR1 $$
    wait "$first"; status=$?
    while ((status > 128)); do wait "$first"; status=$?; done
    wait "$second"; other=$?
    while ((other > 128)); do wait "$second"; other=$?; done
    total=$((total + status * 31 + other + $(echo "$i" | tr 0-9 1-90)))
    [[ $(cat "job-$i") == "$i 400" ]] || echo "job $i went wrong" >> result
    rm -f "job-$i" "job-$((i + 100000))"
done
echo "traps $usr1" >> result
