# A container's outputs, each to a file of its own: $1.out and $1.err. containerd's shim starts this as a logging program (binary://): file descriptors 3 and 4 are the container's
# outputs, 5 is closed to say that we are ready. The shim sends SIGTERM as soon as the process is deleted, and waits: what it wrote last must still be read.
trap '' TERM
cat <&3 >"$1.out" 5>&- &
cat <&4 >"$1.err" 5>&- &
exec 3<&- 4<&- 5>&-
wait
