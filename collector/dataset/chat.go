package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// shareGPT has the roles that ShareGPT's files spell in their own way.
var shareGPT = map[string]string{
	"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant", "model": "assistant",
}

// isChat says whether JSON is a list of messages, by its first one.
func isChat(raw []byte) bool {
	if len(raw) == 0 || raw[0] != '[' {
		return false
	}
	var list []struct{ Role, From *string }
	return json.Unmarshal(raw, &list) == nil && len(list) > 0 && (list[0].Role != nil || list[0].From != nil)
}

// parseChat reads a list of messages: role and content, or from and value.
func parseChat(raw []byte) ([]Message, error) {
	var list []struct {
		Role, From     *string
		Content, Value json.RawMessage
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New("want a list of messages with role and content")
	}
	chat := make([]Message, len(list))
	for i, m := range list {
		role, content := m.Role, m.Content
		if role == nil {
			role, content = m.From, m.Value
		}
		if role == nil {
			return nil, fmt.Errorf("message %d has no role", i)
		}
		words, err := contentOf(content)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		chat[i] = Message{Role: *role, Content: words}
	}
	return chat, nil
}

// contentOf reads a message's content: a text, nothing, or a list of parts of type text.
func contentOf(raw json.RawMessage) (string, error) {
	var s *string
	if len(raw) == 0 || json.Unmarshal(raw, &s) == nil {
		if s == nil {
			return "", nil
		}
		return *s, nil
	}
	var parts []struct{ Type, Text string }
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", errors.New("its content is no text")
	}
	out := ""
	for _, p := range parts {
		if p.Type != "text" {
			return "", fmt.Errorf("its content has a part of type %q; only text is read", brief(p.Type))
		}
		out += p.Text
	}
	return out, nil
}

// conversation is the messages of a cell, with the roles in the usual spelling.
func (c cell) conversation() ([]Message, error) {
	chat := c.chat
	if chat == nil {
		var err error
		if chat, err = parseChat(c.raw); err != nil {
			return nil, err
		}
	}
	for i, m := range chat {
		if usual, ok := shareGPT[m.Role]; ok {
			chat[i].Role = usual
		}
	}
	return chat, nil
}
