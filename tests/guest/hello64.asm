; Smallest 64-bit guest: says that it runs and powers off.
%define MODE 64
%define GUEST "hello64"
%include "guest.inc"

main:
    say     "hello from 64-bit mode", 13, 10
    ret
guest_end
