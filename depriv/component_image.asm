; The built-in ring-3 component, as a flat file in the kernel's read-only data: mapped for ring 3, not executable in ring 0.
section .component align=4096 noexec nowrite
global component_image, component_image_end
align 4096
component_image:
    incbin "component.bin"
component_image_end:
align 4096, db 0
