// Package background keeps bubbletea from asking the terminal for its background colour.
//
// Bubbletea 1 asks when the program starts, in every command that has a terminal, and waits five seconds for a terminal
// that does not answer; our colours need no answer. Packages are initialised in the order of their import paths as far
// as their imports allow, so this one comes between lipgloss and bubbletea.
package background

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) }
