; The letters of the framebuffer: ASCII 32 to 126 of a PSF 1 console font (Debian's psf-unifont), which has 4 bytes in front of its glyphs.
%define GLYPH_BYTES 16              ; eight dots a row, the left one in bit 7
global font
section .rodata
font:
    incbin "font.psf", 4 + 32 * GLYPH_BYTES, 95 * GLYPH_BYTES
