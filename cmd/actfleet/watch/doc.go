// Package watch shows a run's progress: full screen on a terminal, line by line elsewhere.
//
// # Vocabulary
//
//   - A Frame is what is known of a run at one moment; a Source makes one.
//   - A mark says of a unit whether it is open, claimed, spare (claimed by two nodes or more) or done.
//   - The strip shows all marks in order. Where units are many, a cell stands for a range of them.
//
// # Guarantees
//
//   - The model's Update and View are pure: time and size come in as messages.
//   - The terminal is restored, whatever ends the watch.
//   - A Source that fails after its first Frame is retried; until it succeeds the error is shown below the last
//     Frame.
package watch
