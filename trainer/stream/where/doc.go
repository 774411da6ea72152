// Package where reads conditions on scalar columns, a small part of SQL's:
//
//	label = 1 and pos > 0
//	split in (train, val) or not (token = ' the' or p_yes between 0.2 and 0.8)
//
// Operators, from the loosest: or; and; not; = == != <> < <= > >=, [not] in (…),
// between … and …. Words of the language are read in any case. A value is a number,
// true or false, a 'text' (two quotes inside stand for one), or a bare word, which is text;
// the type of the column decides how it is read. A column is a word or a "name".
//
// Guaranteed: a condition either compiles for a schema or says what is wrong with it;
// comparing int64 columns with whole numbers is exact; with NaN only != holds; input is
// bounded in length and depth.
// Not guaranteed: arithmetic, functions, columns on the right side, null.
package where
