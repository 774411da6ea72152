package checkpoint

import (
	"math"

	"actfleet/collector/model/gguf"
)

// Ends are the ids of the tokens that end a text or a turn, as the file names them; none where it names none.
func (c *Checkpoint) Ends() (ids []int32) {
	for _, key := range []string{"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"} {
		if id, ok := gguf.Get[int64](c.file, key); ok && id >= 0 && id <= math.MaxInt32 {
			ids = append(ids, int32(id))
		}
	}
	return ids
}
