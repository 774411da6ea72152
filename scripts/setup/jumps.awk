# jumps.awk writes one jump per C function of libtch.so, as assembly for gcc:
#   awk -v arch=x86_64 -v path=/…/libtch.so -f jumps.awk names
# A program linked with it needs no libtch.so to start; af_open (load.c) fills the table at first use.
{ name[++n] = $1 }
END {
	print ".text"
	for (i = 1; i <= n; i++) {
		printf ".globl %s\n.type %s, %%function\n%s:\n", name[i], name[i], name[i]
		if (arch == "aarch64") {
			printf "\tadrp x16, af_jumps+%d\n\tldr x16, [x16, #:lo12:af_jumps+%d]\n\tbr x16\n", 8*(i-1), 8*(i-1)
		} else {
			printf "\tjmp *af_jumps+%d(%%rip)\n", 8*(i-1)
		}
	}
	print ".bss\n.balign 4096\n.globl af_jumps\n.hidden af_jumps\naf_jumps:"
	printf "\t.zero %d\n", 8*n
	print ".section .rodata\n.globl af_jump_names\n.hidden af_jump_names\naf_jump_names:"
	for (i = 1; i <= n; i++) printf "\t.asciz \"%s\"\n", name[i]
	print "\t.byte 0\n.globl af_built_path\naf_built_path:"
	printf "\t.asciz \"%s\"\n", path
	print ".section .note.GNU-stack,\"\",%progbits"
}
