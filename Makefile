# Rung: build, run, test, measure. `make help` explains; tests/ holds the scripts behind the targets.
CROSS_COMPILE ?=
CC      := $(CROSS_COMPILE)gcc
LD      := $(CROSS_COMPILE)ld
OBJCOPY := $(CROSS_COMPILE)objcopy
NASM    := nasm
COUNT   ?=
B       := build$(if $(COUNT),/count)
BUILD_ID := $(shell git describe --always --dirty 2>/dev/null || echo unversioned)$(if $(COUNT), counting)

WARN   := -Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wstrict-prototypes -Werror
COMMON := -std=gnu11 -O2 -g -ffreestanding -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none \
          -fno-asynchronous-unwind-tables -fno-jump-tables -fno-strict-aliasing -fno-common $(WARN) -I. -MMD -MP
KFLAGS := $(COMMON) -mcmodel=kernel -DRUNG_BUILD='"$(BUILD_ID)"' $(if $(COUNT),-DRUNG_COUNT)
UFLAGS := $(COMMON)

KSRC := $(wildcard boot/*.c kernel/*.c vmx/*.c svm/*.c) depriv/gate.c depriv/calls.c depriv/component.c
KASM := $(wildcard boot/*.asm kernel/*.asm vmx/*.asm svm/*.asm) depriv/gate.asm depriv/component_image.asm
USRC := depriv/umain.c depriv/uinsn.c depriv/guestmem.c depriv/format.c depriv/ustring.c $(wildcard depriv/load/*.c devices/*.c emul/*.c)
KOBJ := $(patsubst %,$(B)/k/%.o,$(filter-out kernel/offsets.c,$(KSRC)) $(KASM))
UOBJ := $(patsubst %,$(B)/u/%.o,depriv/ustart.asm $(USRC))

.PHONY: all iso run test bench check loc help clean gdb
all: $(B)/rung.elf $(B)/rung32.elf

$(B)/rung.elf: $(KOBJ) linker.ld
	$(LD) -nostdlib -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -T linker.ld -o $@ $(KOBJ)

# QEMU -kernel takes a multiboot 1 ELF32; GRUB takes the ELF64.
$(B)/rung32.elf: $(B)/rung.elf
	$(OBJCOPY) -O elf32-i386 $< $@

$(B)/component.elf: $(UOBJ) depriv/component.ld
	$(LD) -nostdlib -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -T depriv/component.ld -o $@ $(UOBJ)

$(B)/component.bin: $(B)/component.elf
	$(OBJCOPY) -O binary $< $@

$(B)/offsets.inc: kernel/offsets.c $(wildcard kernel/*.h) depriv/abi.h | tools
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(KFLAGS)) -S -o - $< | sed -n 's/^==> //p' > $@.tmp && mv $@.tmp $@

$(B)/k/%.c.o: %.c | tools
	@mkdir -p $(@D)
	$(CC) $(KFLAGS) -c -o $@ $<

$(B)/u/%.c.o: %.c | tools
	@mkdir -p $(@D)
	$(CC) $(UFLAGS) -c -o $@ $<

$(B)/k/%.asm.o: %.asm $(B)/offsets.inc
	@mkdir -p $(@D)
	$(NASM) -f elf64 -g -F dwarf -w+all -w-reloc-abs -w-reloc-rel-dword -I$(B)/ -o $@ $<

$(B)/u/%.asm.o: %.asm | tools
	@mkdir -p $(@D)
	$(NASM) -f elf64 -g -F dwarf -o $@ $<

$(B)/k/depriv/component_image.asm.o: $(B)/component.bin

-include $(KOBJ:.o=.d) $(UOBJ:.o=.d)
