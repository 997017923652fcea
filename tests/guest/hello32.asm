; Smallest 32-bit guest, paging off: says that it runs and powers off.
%define MODE 32
%define GUEST "hello32"
%include "guest.inc"

main:
    say     "hello from 32-bit mode", 13, 10
    ret
guest_end
