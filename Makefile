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
# Stacks are aligned to 8 bytes: nothing here has SSE, for which 16 are.
COMMON := -std=gnu11 -O2 -g -ffreestanding -mno-red-zone -mgeneral-regs-only -mpreferred-stack-boundary=3 -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none \
          -fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-common $(WARN) -I. -MMD -MP
KFLAGS := $(COMMON) -mcmodel=kernel -fno-jump-tables -DRUNG_BUILD='"$(BUILD_ID)"' $(if $(COUNT),-DRUNG_COUNT)
UFLAGS := $(COMMON) -I$(B)/u

KSRC := $(wildcard boot/*.c kernel/*.c vmx/*.c svm/*.c) depriv/gate.c depriv/calls.c depriv/component.c depriv/guestaccess.c depriv/format.c depriv/string.c $(wildcard depriv/method*.c)
KASM := $(wildcard boot/*.asm kernel/*.asm vmx/*.asm svm/*.asm) depriv/gate.asm depriv/method2.asm depriv/copier.asm
USRC := depriv/umain.c depriv/clock.c depriv/explain.c depriv/guestcpu.c depriv/uinsn.c depriv/guestmem.c depriv/format.c depriv/string.c depriv/ustring.c depriv/words.c $(wildcard depriv/load/*.c devices/*.c emul/*.c)
SSRC := depriv/format.c depriv/string.c depriv/ustring.c depriv/words.c $(wildcard depriv/setup/*.c)
KOBJ := $(patsubst %,$(B)/k/%.o,$(filter-out kernel/offsets.c,$(KSRC)) $(KASM)) $(B)/setup.o $(B)/component.bin.o $(B)/font.psf.o
SOBJ := $(patsubst %,$(B)/u/%.o,$(SSRC))
UOBJ := $(patsubst %,$(B)/u/%.o,depriv/ustart.asm depriv/uvector.asm $(USRC))

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
Q := $(if $(V),,@)
.PHONY: all tools iso run test bench bench-peers plots bench-emul fuzz coverage check loc abi help clean gdb
tools: # nasm, iasl and what else the build takes: Debian packages, installed when missing
	@tests/system/install.sh build

all: $(B)/rung.elf $(B)/rung32.elf

$(B)/rung.elf: $(KOBJ) linker.ld
	$(Q)$(LD) -nostdlib -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -T linker.ld -o $@ $(KOBJ)

# QEMU -kernel takes a multiboot 1 ELF32; GRUB takes the ELF64.
$(B)/rung32.elf: $(B)/rung.elf
	$(Q)$(OBJCOPY) -O elf32-i386 $< $@

# The setup program, which reads the boot loader's and the firmware's tables in ring 3: linked on its own, one name left.
$(B)/setup.o: $(SOBJ)
	$(Q)$(LD) -r -o $@ $^ && $(OBJCOPY) --keep-global-symbol=setup_main $@

$(B)/component.elf: $(UOBJ) depriv/component.ld
	$(Q)$(LD) -nostdlib -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -T depriv/component.ld -o $@ $(UOBJ)

$(B)/component.bin: $(B)/component.elf
	$(Q)$(OBJCOPY) -O binary $< $@

# The component that measures itself: the built-in one behind ports of its own (tests/bench/component.c).
$(B)/bench/component.bin: $(UOBJ) $(B)/u/tests/bench/component.c.o depriv/component.ld
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) --redefine-sym component_main=device_main $(B)/u/depriv/umain.c.o $(@D)/umain.o
	$(Q)$(LD) -nostdlib -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -T depriv/component.ld -o $(@D)/component.elf \
		$(filter-out %/umain.c.o,$(filter %.o,$^)) $(@D)/umain.o
	$(Q)$(OBJCOPY) -O binary $(@D)/component.elf $@

$(B)/u/dsdt.hex: depriv/load/dsdt.asl | tools
	@mkdir -p $(@D)
	$(Q)iasl -vw 3073 -p $(@D)/dsdt -tc $< > $(@D)/dsdt.log || { cat $(@D)/dsdt.log; exit 1; }

$(B)/u/depriv/load/acpi_tables.c.o: $(B)/u/dsdt.hex

$(B)/offsets.inc: kernel/offsets.c $(wildcard kernel/*.h) depriv/abi.h | tools
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(KFLAGS)) -S -o - $< | sed -n 's/^==> //p' > $@.tmp && mv $@.tmp $@

# What the build says of itself, and the flags: what is built of others is built again.
stamp = $(shell mkdir -p $(B); echo '$2' | cmp -s - $(B)/$1 || echo '$2' > $(B)/$1)
$(call stamp,build-id,$(BUILD_ID))
$(call stamp,flags,$(COMMON))
$(B)/k/kernel/log.c.o $(B)/k/kernel/main.c.o: $(B)/build-id

$(B)/k/%.c.o: %.c $(B)/flags | tools
	@mkdir -p $(@D)
	$(Q)$(CC) $(KFLAGS) -c -o $@ $<

$(B)/u/%.c.o: %.c $(B)/flags | tools
	@mkdir -p $(@D)
	$(Q)$(CC) $(UFLAGS) -c -o $@ $<

$(B)/k/%.asm.o: %.asm $(B)/offsets.inc kernel/gprs.inc kernel/isolate.inc
	@mkdir -p $(@D)
	$(Q)$(NASM) -f elf64 -g -F dwarf -I$(B)/ $(if $(COUNT),-DRUNG_COUNT) -o $@ $<

$(B)/u/%.asm.o: %.asm | tools
	@mkdir -p $(@D)
	$(Q)$(NASM) -f elf64 -g -F dwarf -o $@ $<

# Files as they are, in the kernel's read-only data (linker.ld).
$(B)/component.bin.o $(B)/font.psf.o: %.o: %
	$(Q)cd $(B) && $(LD) -r -b binary -z noexecstack -o $(@F) $(<F)

$(B)/font.psf: | tools
	@mkdir -p $(@D)
	$(Q)zcat /usr/share/consolefonts/Unifont-APL8x16.psf.gz > $@

-include $(KOBJ:.o=.d) $(UOBJ:.o=.d) $(SOBJ:.o=.d) $(B)/u/tests/bench/component.c.d

# ---- For people --------------------------------------------------------------------------------------------------------

iso: all
	@tests/system/run.sh --iso-only

run: all
	@tests/system/run.sh

test: all
	@tests/system/test.sh '$(T)'

bench: all
	@tests/system/bench.sh

bench-peers:
	@tests/bench/peers/peers.sh

plots:
	@tests/bench/plots.sh

bench-emul:
	@tests/system/install.sh emul
	@tests/bench/emul.sh

fuzz:
	@tests/system/install.sh emul
	@tests/host/fuzz.sh

coverage:
	@tests/system/install.sh emul
	@tests/host/coverage.sh

check: all
	@tests/system/check.sh

loc:
	@tests/system/loc.sh

abi:
	@tests/system/abi.sh

gdb: all
	@tests/system/run.sh --gdb

clean:
	rm -rf build

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

export FUZZ_TIME PARTS PEERS OP DET HV ACCEL KIND GUEST INITRD CMDLINE MODULES MEM VCPUS OPTS TIMEOUT FIRMWARE B COUNT

## make                 build build/rung.elf (GRUB) and build/rung32.elf (QEMU -kernel)
## make run             a Debian kernel with a busybox shell as a guest, in this terminal
##     HV=svm|vmx           QEMU's SVM (default), or Bochs's VMX
##     ACCEL=tcg|bochs|kvm  what runs Rung itself; kvm where nesting is offered
##     DET=1                the vendor's deterministic configuration: the TSC counts instructions
##     KIND=linux|multiboot|flat GUEST=file INITRD=file CMDLINE="..." MODULES="file ..." MEM=MiB VCPUS=n
##     OPTS="..."           options of the hypervisor (boot/README.md); TIMEOUT=s  FIRMWARE=bios|ovmf
## make iso             build/rung.iso: BIOS and UEFI, CD and USB
## make test [T=name]   unit tests on the host, then system tests on QEMU and Bochs
## make bench [HV=..]   the measurements, as tables and in build/bench.jsonl
##     PARTS="flat ring3 events methods product rfc linux"  some of them (tests/system/bench.sh)
## make bench-peers     KVM and Xen measured with the same guest on the same emulated machines
## make plots           build/plots/*.svg from the measurements
## make bench-emul      the emulator on this machine: instructions for one emulated instruction, beside Xen's
## make fuzz            all fuzzers of tests/host, FUZZ_TIME=60 seconds each; their corpora stay in build/fuzz
## make coverage        lines of emul/ that the host tests reach
## make check           style, layers, static analysis
## make abi             the table of calls in depriv/README.md, from depriv/abi.h
## make loc             lines of code by part
## make gdb             run with QEMU's gdb stub on port 1234
## make COUNT=1         the same into build/count, counting VMREAD, WRMSR, CR3 writes ...
