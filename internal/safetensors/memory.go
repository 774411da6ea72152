package safetensors

import "fmt"

// Parse checks a file that lies in memory, which the File goes on reading and which it
// never changes or frees. The name is for errors.
func Parse(name string, data []byte) (*File, error) {
	head, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return newFile(name, data, head), nil
}
