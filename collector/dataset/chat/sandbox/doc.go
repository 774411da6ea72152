// Package sandbox renders conversations with a stranger's chat template in a process of its own, so that no template
// can take down the program or the machine: Jinja has loops, recursion and strings as long as a number says.
//
// Vocabulary: the owner is the process that has a Renderer; the child is this program again, started with a hidden
// command that calls Serve.
//
// Guaranteed: a template that does not end, fills the memory or overflows the stack is an error that says so, which is
// chat.ErrTemplate, within a time limit; the child's memory is bounded by the system (on Linux), and it ends with its
// owner. A rendered conversation is the one that package chat gives in the same process, byte for byte.
//
// Not guaranteed: that the child has fewer rights than its owner. The engine offers a template no files, no network and
// no commands.
//
// # Protocol
//
// Two streams of encoding/gob: on its standard input the child reads the template and then one request after another,
// and to its standard output it writes a reply for each, and first one for the template.
package sandbox
