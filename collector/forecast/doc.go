// Package forecast says how long a collection takes, where its time goes, what bounds it, and the cheapest change that would
// help: arithmetic on what was measured elsewhere.
//
// Taps are packed in the lanes that compute the model, so the two add up; writing goes on beside them. A run takes as long as
// the longer of the two.
package forecast
