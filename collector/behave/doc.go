// Package behave asks a model whether statements are true, told to say so or to lie, and records what it answers.
//
// A statement has a label: 1 where it is true. A cell is one combination of the factors: whether there is a system message,
// how many demonstrations precede the question, whether an instruction does. In each cell every statement is asked about
// twice, once with the model told to answer truthfully and once to lie: by the system message, by the instruction, and by
// demonstrations, whose answers are flipped. A cell that has none of the three tells nobody anything, so nobody is told to
// lie in it. Demonstrations are class-balanced, the same for all statements of a run, and are no statements that are asked
// about, nor of their groups.
//
// The answer to a prompt are the probabilities of the two choices to come next. A choice stands for all its forms that are
// single tokens (collector.ChoiceIDs); where it has none, it is scored by the log-likelihood of its tokens, divided by their
// number (Liu et al. 2022, T-Few).
//
// A model knows a statement, in a cell, if it answers it correctly when told to answer truthfully.
package behave
