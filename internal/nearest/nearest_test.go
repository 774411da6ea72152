package nearest

import "testing"

func TestName(t *testing.T) {
	names := []string{"width", "k", "lr", "batch", "steps", "init_rows", "eval_rows"}
	for typed, want := range map[string]string{
		"widht": "width", "Width": "width", "step": "steps", "ini_rows": "init_rows", "evalrows": "eval_rows",
		"learning_rate": "", "": "", "x": "", "kk": "k", "batches": "batch",
	} {
		if got := Name(typed, names); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}
