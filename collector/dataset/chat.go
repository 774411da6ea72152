package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// talk is a conversation as a cell holds it. What is wrong with it matters only where it is used.
type talk struct {
	messages []Message
	more     []extra
	bad      error
}

// add appends a message of a table, which may lack either part.
func (t *talk) add(role, content *string) {
	switch {
	case t.bad != nil:
	case role == nil:
		t.bad = inMessage(len(t.messages), errNoRole)
	case content == nil:
		t.bad = inMessage(len(t.messages), errNoContent)
	default:
		t.messages = append(t.messages, Message{Role: *role, Content: *content})
	}
}

// extra is a part of a message, beside its role and content, that has a value.
type extra struct {
	message int
	key     string
}

var (
	errNoMessages = errors.New("want a list of messages with role and content")
	errNoRole     = errors.New("it has no role")
	errNoContent  = errors.New("its content is missing or null")
)

// inMessage says which message of a conversation an error is about.
func inMessage(i int, err error) error { return fmt.Errorf("message %d: %w", i, err) }

// isChat says whether JSON is a list of messages, by its first one.
func isChat(raw []byte) bool {
	if len(raw) == 0 || raw[0] != '[' {
		return false
	}
	var list []struct{ Role, From *string }
	return json.Unmarshal(raw, &list) == nil && len(list) > 0 && (list[0].Role != nil || list[0].From != nil)
}

// parseChat reads a list of messages: role and content, or from and value.
func parseChat(raw []byte) (t talk) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return talk{bad: errNoMessages}
	}
	t.messages = make([]Message, len(list))
	for i, m := range list {
		more, err := t.messages[i].parse(m)
		if err != nil {
			return talk{bad: inMessage(i, err)}
		}
		for _, key := range more {
			t.more = append(t.more, extra{i, key})
		}
	}
	return t
}

// parse reads one message, and gives the keys of its other parts.
func (m *Message) parse(raw []byte) (more []string, err error) {
	var parts map[string]json.RawMessage
	if json.Unmarshal(raw, &parts) != nil || parts == nil {
		return nil, fmt.Errorf("it is %s; want an object with role and content", brief(string(raw)))
	}
	names := messageFields[0]
	if _, ok := parts["role"]; !ok && parts["from"] != nil {
		names = messageFields[1]
	}
	role, there := parts[names[0]]
	switch {
	case !there || string(role) == "null":
		return nil, errNoRole
	case json.Unmarshal(role, &m.Role) != nil:
		return nil, fmt.Errorf("its %s is %s; want a text", names[0], brief(string(role)))
	}
	if m.Content, err = contentOf(parts[names[1]]); err != nil {
		return nil, err
	}
	for key, value := range parts {
		if key != names[0] && key != names[1] && !isNothing(value) {
			more = append(more, key)
		}
	}
	slices.Sort(more)
	return more, nil
}

// isNothing says whether JSON, without blanks at its ends, is null or empty.
func isNothing(raw []byte) bool {
	switch string(raw) {
	case "null", `""`:
		return true
	}
	return len(raw) > 1 && (raw[0] == '[' || raw[0] == '{') && len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
}

// contentOf reads a message's content: a text, or a list of parts of type text.
func contentOf(raw json.RawMessage) (string, error) {
	var s *string
	if len(raw) == 0 || json.Unmarshal(raw, &s) == nil {
		if s == nil {
			return "", errNoContent
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

// conversation is the messages of a cell, with the roles in the usual spelling. A part of a message that the template
// mentions and is not given is an error.
func (opt *Options) conversation(c cell) ([]Message, error) {
	t := c.chat
	if t == nil {
		parsed := parseChat(c.raw)
		t = &parsed
	}
	if t.bad != nil {
		return nil, t.bad
	}
	for _, e := range t.more {
		if opt.Mentions == nil || opt.Mentions(e.key) {
			return nil, inMessage(e.message, fmt.Errorf("its %q would be lost: templates are given role and content alone, and "+
				"the checkpoint's mentions it; take it out of the data, or make it null", brief(e.key)))
		}
	}
	for i, m := range t.messages {
		if usual, ok := shareGPT[m.Role]; ok {
			t.messages[i].Role = usual
		}
	}
	return t.messages, nil
}
