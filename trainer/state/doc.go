// Package state keeps named arrays in safetensors files.
//
// A Set is declared once by whoever owns the arrays and serves both ways: Save
// writes them, Load fills the same memory; Encode and Decode do so without a file.
//
// Guaranteed: Load changes nothing unless the file holds exactly the arrays of the
// Set, with their types and shapes; what Save wrote, Load restores bit for bit.
// Not guaranteed: that the memory is not written during Save.
package state
