package trainer

import (
	"fmt"
	"os"
	"path/filepath"

	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
)

// Ended tells whether the folders hold what the jobs would make: the finished coders of these recipes from the plans of
// these runs.
func Ended(jobs []Job) bool {
	for _, j := range jobs {
		card, err := coder.ReadCard(j.Dir)
		if err != nil || j.Fork || !j.made(recipe.Renamed(card)) {
			return false
		}
		if _, err := os.Stat(filepath.Join(j.Dir, coder.WeightsFile)); err != nil {
			return false
		}
	}
	return len(jobs) > 0
}

// made tells whether a card is of a coder that this job would make. What the job's recipe leaves to the data is taken
// from the card.
func (j Job) made(card coder.Card) bool {
	there, err := recipe.Of(card)
	if err != nil || card.Column != j.Column || len(card.PlanIDs) != len(j.Runs) {
		return false
	}
	for i, run := range j.Runs {
		if card.PlanIDs[i] != run.Plan.ID() {
			return false
		}
	}
	ours, width := j.Recipe, card.DIn
	if ours.Data.HoldoutBy == "auto" {
		ours.Data.HoldoutBy = there.Data.HoldoutBy
	}
	if len(card.Parts) > 0 {
		width = card.Parts[0]
	}
	ours.Resolve(width, int64(there.Loop.Steps/max(1, there.Loop.Epochs))*int64(there.Loop.Batch))
	return fmt.Sprint(ours.Effective()) == fmt.Sprint(there.Effective()) // maps are printed in the order of their keys
}
