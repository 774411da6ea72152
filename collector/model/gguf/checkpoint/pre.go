package checkpoint

import "strings"

// splitting is what a tokenizer.ggml.pre stands for: how byte-level BPE cuts a text into words before it merges.
type splitting struct {
	patterns   []string // one after the other; none is GPT-2's own
	spelled    []string // patterns after these, which see bytes as byte-level BPE spells them
	nfc        bool     // text is normalised first
	whole      bool     // a word that is a token is taken as it is
	begins     bool     // a text begins with the beginning token where the file does not say
	separates  bool     // a text ends with the separator token where the file does not say
	characters bool     // no bytes but characters, with spaces as marks
}

// Parts that many patterns share. \p{L} and the like are Unicode's.
const (
	contraction = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	word        = `[^\r\n\p{L}\p{N}]?\p{L}+`
	symbols     = ` ?[^\s\p{L}\p{N}]+[\r\n]*`
	lines       = `\s*[\r\n]+`
	blanks      = `\s+(?!\S)|\s+`
	upper       = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
	lower       = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
	before      = `[^\r\n\p{L}\p{N}]?`
	slashed     = ` ?[^\s\p{L}\p{N}]+[\r\n/]*`
	gpt2Words   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	threes      = `\p{N}{1,3}`
	fromRight   = `\d{1,3}(?=(?:\d{3})*(?!\d))` // digits in threes, the odd ones first
	asciiSign   = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
	finnish     = ` ?[^(\s|.,!?…。，、।۔،)]+`
)

// sentence is the last pattern of DeepSeek 3's family: words with their marks, signs, white space.
func sentence(signs string) string {
	return asciiSign + `[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|` + signs + `|` + blanks
}

// cased are patterns of words that are cut where a small letter is followed by a capital one, with what may follow a
// word and how digits go.
func cased(after, digits string) string {
	return oneOf(before+upper+`*`+lower+`+`+after, before+upper+`+`+lower+`*`+after, digits, slashed, lines, blanks)
}

// oneOf is the pattern of one of several.
func oneOf(patterns ...string) string { return strings.Join(patterns, "|") }

var (
	llama3     = oneOf(contraction, word, threes, symbols, lines, blanks)
	qwen2      = oneOf(contraction, word, `\p{N}`, symbols, lines, blanks)
	gpt4o      = cased(contraction+`?`, threes)
	deepseekV3 = []string{threes, "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", sentence(` ?[\p{P}\p{S}]+[\r\n]*|` + lines)}
	falcon     = splitting{patterns: []string{"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2Words}, spelled: []string{`\p{N}+`, `[0-9][0-9][0-9]`}}
	noHan      = func(class string) string { return strings.TrimSuffix(class, "]") + `&&[^\p{Han}]]` }
)

// casedLetters are the letters with case that DeepSeek's first tokenizers know, as their files list them.
const casedLetters = "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d" +
	"\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd" +
	"\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59" +
	"\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4" +
	"\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e" +
	"\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e" +
	"\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb" +
	"\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"

const (
	hanAndHangul = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
	chinesePunct = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
	youtuScripts = "[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+|" +
		"[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
	afmoeScripts = "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f\u0e80-\u0eff" +
		"\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+"
	halvedBlanks = `\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`
)

// digitsApart is StarCoder's: every digit alone, then GPT-2's words.
var digitsApart = []string{`\p{N}`, gpt2Words}

// qwen35 keeps combining marks with the letters.
var qwen35 = oneOf(contraction, before+`[\p{L}\p{M}]+`, `\p{N}`, ` ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*`, lines, blanks)

// exaone takes several words with single spaces between them for one.
var exaone = oneOf(contraction, before+`(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+`, `\p{N}`, ` ?[^\s\p{L}\p{N}]+[\r\n/]?`, `\s*[\r\n]`, blanks)

// kimi sets Chinese characters apart from other letters.
var kimi = oneOf(`[\p{Han}]+`, before+noHan(upper)+`*`+noHan(lower)+`+`+contraction+`?`,
	before+noHan(upper)+`+`+noHan(lower)+`*`+contraction+`?`, threes, symbols, lines, blanks)

// chameleon has tokens for places in pictures.
var chameleon = []string{`<sentinel:[0-9]+>`, `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`, `([\t\n]|    |  )`, `\p{N}`,
	"[\\p{P}!-/:-@\\[-`{-~]", gpt2Words}

// named are splittings with all their names.
var named = []struct {
	names string
	splitting
}{
	{`gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jais trillion
		granite-docling exaone4`, splitting{}},
	{"mpt olmo", splitting{nfc: true}},
	{"jina-v1-en jina-v2-code roberta-bpe", splitting{separates: true}},
	{"starcoder refact smollm codeshell exaone minerva-7b mellum2", splitting{patterns: digitsApart}},
	{"command-r", splitting{patterns: digitsApart, nfc: true}},
	{"llama3 llama-v3 llama-bpe falcon3 falcon-h1 midm-2.0 lfm2 jina-v5-nano", splitting{patterns: []string{llama3}, whole: true, begins: true}},
	{"dbrx smaug-bpe glm4 chatglm-bpe", splitting{patterns: []string{llama3}}},
	{"qwen2 deepseek-r1-qwen kormo f2llmv2 megrez", splitting{patterns: []string{qwen2}, nfc: true}},
	{"stablelm2 hunyuan solar-open grok-2", splitting{patterns: []string{qwen2}}},
	{"qwen35", splitting{patterns: []string{qwen35}, nfc: true}},
	{"ufakzeka", splitting{patterns: []string{oneOf(word, `\p{N}`, symbols, lines, blanks)}}},
	{"laguna", splitting{patterns: []string{`[^\n]+|[\n]+`, qwen2}}},
	{"minicpm5", splitting{patterns: []string{threes, oneOf(contraction, word, `\p{N}+`, symbols, lines, blanks)}, whole: true}},
	{"seed-coder", splitting{patterns: []string{oneOf(contraction, word, `\p{N}{1}`, ` ?[^\s\p{L}\p{N}\r\n]+`, lines, blanks)}}},
	{"bailingmoe bailingmoe2 llada-moe", splitting{patterns: []string{oneOf(`'(?i:[sdmt]|ll|ve|re)`, word, `\p{N}`, symbols, `\s*[\r\n]`, blanks)}}},
	{"exaone-moe", splitting{patterns: []string{exaone}}},
	{"jais-2", splitting{patterns: []string{oneOf(contraction, word, threes, symbols, lines, halvedBlanks)}}},
	{"tekken pixtral", splitting{patterns: []string{cased("", `\p{N}`)}, whole: true, begins: true}},
	{"gpt-4o llama4 kanana2 talkie minimax-m2", splitting{patterns: []string{gpt4o}}},
	{"granite-embed-multi-97m", splitting{patterns: []string{gpt4o}, whole: true}},
	{"tiny_aya cohere2moe", splitting{patterns: []string{`\d{1,3}(?=(?:\d{3})*\b)`, gpt4o}}},
	{"youtu", splitting{patterns: []string{youtuScripts, cased(contraction+`?`, `\p{N}`)}, whole: true}},
	{"kimi-k2", splitting{patterns: []string{kimi}}},
	{"deepseek-v3 hunyuan-dense joyai-llm hy_v4", splitting{patterns: deepseekV3}},
	{"spark2_5", splitting{patterns: append(deepseekV3[:2:2], sentence(` ?[\p{P}\p{S}]+|[\r\n]`), `\p{N}`)}},
	{"deepseek-llm", splitting{patterns: []string{`[\r\n]`, `\s?[` + casedLetters + `]+`, chinesePunct, `\s+$`, hanAndHangul, `\p{N}+`}}},
	{"deepseek-coder", splitting{patterns: []string{`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, hanAndHangul, `\p{N}`}}},
	{"afmoe", splitting{patterns: []string{fromRight, afmoeScripts, sentence(` ?[\p{P}\p{S}]+[\r\n]*|` + lines)}}},
	{"superbpe", splitting{patterns: []string{`\p{N}+`, fromRight}}},
	{"falcon", falcon},
	{"default", splitting{patterns: []string{`[\p{P}\$\+<=>\^~\|]+`, gpt2Words, `\p{N}+`, `[0-9][0-9][0-9]`}}},
	{"bloom poro-chat gpt3-finnish", splitting{patterns: []string{finnish}}},
	{"viking", splitting{patterns: []string{finnish, `\p{N}`}}},
	{"chameleon", splitting{patterns: chameleon, begins: true}},
	{"gemma4 granite-embed-multi-311m", splitting{characters: true, begins: true}},
	{"sarvam-moe", splitting{characters: true}},
}

// splittings has every tokenizer.ggml.pre that llama.cpp knows (src/llama-vocab.cpp) and BPE with merges can do, by
// name. Where llama.cpp simplifies a pattern of the model's own tokenizer.json, the model's own stands here.
var splittings = func() map[string]splitting {
	out := map[string]splitting{}
	for _, row := range named {
		for _, name := range strings.Fields(row.names) {
			out[name] = row.splitting
		}
	}
	return out
}()
