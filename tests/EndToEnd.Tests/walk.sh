#!/bin/sh
# Describes every file of the container it runs in, so that two containers can be compared line by line. Needs nothing of the container's image: the machine's own
# programs are mounted at /mnt and run with the machine's own loader: $1, with the libraries of $2. Below these directories the runtime has mounted other things: not part of the image.
set -eu
machine=/mnt
run="$1 --library-path $2"
export LC_ALL=C QUOTING_STYLE=escape

walk() { $run $machine/usr/bin/find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /mnt \) -prune -o "$@"; }

echo "== entries"
walk -exec $run $machine/usr/bin/stat --printf '%N\t%F\t%a\t%u:%g\t%s\t%.9Y\t%i\t%t:%T\n' {} +
echo "== contents"
walk -type f -exec $run $machine/usr/bin/sha256sum -- {} +
echo "== attributes"
walk -exec $run $machine/usr/bin/getfattr --no-dereference --dump --match=- --encoding=hex --absolute-names -- {} +
echo "== end"
