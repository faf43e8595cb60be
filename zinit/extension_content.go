package zinit

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ContentExtension is Extension as a service file says it.
type ContentExtension struct {
	User        Scalar            `json:"user,omitempty" yaml:"user,omitempty"`
	Group       Scalar            `json:"group,omitempty" yaml:"group,omitempty"`
	Umask       Scalar            `json:"umask,omitempty" yaml:"umask,omitempty"`
	Rlimits     map[string]Scalar `json:"rlimits,omitempty" yaml:"rlimits,omitempty"`
	MemoryMax   Scalar            `json:"memory_max,omitempty" yaml:"memory_max,omitempty"`
	CPUMax      Scalar            `json:"cpu_max,omitempty" yaml:"cpu_max,omitempty"`
	Restart     *RestartContent   `json:"restart,omitempty" yaml:"restart,omitempty"`
	StopTimeout Scalar            `json:"stop_timeout,omitempty" yaml:"stop_timeout,omitempty"`
	LogFile     *LogFileContent   `json:"log_file,omitempty" yaml:"log_file,omitempty"`
	SHA256      Scalar            `json:"sha256,omitempty" yaml:"sha256,omitempty"`
}

// RestartContent is the restart key of a service file.
type RestartContent struct {
	Delay    Scalar `json:"delay,omitempty" yaml:"delay,omitempty"`
	MaxDelay Scalar `json:"max_delay,omitempty" yaml:"max_delay,omitempty"`
	Healthy  Scalar `json:"healthy,omitempty" yaml:"healthy,omitempty"`
	MaxExits int    `json:"max_exits,omitempty" yaml:"max_exits,omitempty"`
	Within   Scalar `json:"within,omitempty" yaml:"within,omitempty"`
}

// LogFileContent is the log_file key of a service file.
type LogFileContent struct {
	Path    Scalar `json:"path,omitempty" yaml:"path,omitempty"`
	MaxSize Scalar `json:"max_size,omitempty" yaml:"max_size,omitempty"`
	Keep    int    `json:"keep,omitempty" yaml:"keep,omitempty"`
}

// Scalar is a value that may be written as a number or as text, and is kept as
// it was written: umask 0027 means the same with quotes and without.
type Scalar string

// UnmarshalJSON takes a string or a number.
func (s *Scalar) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(s))
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("got %.30s, want a text or a number", b)
	}
	*s = Scalar(n)
	return nil
}

// UnmarshalYAML takes the text of a scalar as it stands in the file.
func (s *Scalar) UnmarshalYAML(b []byte) error {
	text := strings.TrimSpace(string(b))
	switch {
	case strings.HasPrefix(text, `"`):
		return json.Unmarshal([]byte(text), (*string)(s))
	case strings.HasPrefix(text, "'") && strings.HasSuffix(text, "'") && len(text) > 1:
		text = strings.ReplaceAll(text[1:len(text)-1], "''", "'")
	case strings.ContainsAny(text, "\n{}[]"):
		return fmt.Errorf("got %.30q, want a text or a number", text)
	}
	*s = Scalar(text)
	return nil
}

// extension is the value that c says.
func (c ContentExtension) extension() (e Extension, err error) {
	e = Extension{User: string(c.User), Group: string(c.Group), SHA256: string(c.SHA256)}
	if c.Umask != "" {
		mask, err := strconv.ParseUint(string(c.Umask), 8, 16)
		if err != nil {
			return e, fmt.Errorf("umask: got %.20q, want octal digits such as 0027", c.Umask)
		}
		e.Umask = new(uint32(mask))
	}
	for name, text := range c.Rlimits {
		if e.Rlimits == nil {
			e.Rlimits = make(map[string]uint64)
		}
		if e.Rlimits[name], err = parseLimit(string(text)); err != nil {
			return e, fmt.Errorf("rlimits.%.30s: %w", name, err)
		}
	}
	if c.MemoryMax != "" {
		if e.Memory, err = ParseBytes(string(c.MemoryMax)); err != nil {
			return e, fmt.Errorf("memory_max: %w", err)
		}
	}
	if c.CPUMax != "" {
		if e.CPU, err = strconv.ParseFloat(string(c.CPUMax), 64); err != nil || math.IsNaN(e.CPU) || e.CPU <= 0 {
			return e, fmt.Errorf("cpu_max: got %.20q, want a number of processors such as 0.5", c.CPUMax)
		}
	}
	if r := c.Restart; r != nil {
		e.Restart.MaxExits = r.MaxExits
		if err := parseDurations("restart.", map[string]duration{
			"delay": {r.Delay, &e.Restart.Delay}, "max_delay": {r.MaxDelay, &e.Restart.MaxDelay},
			"healthy": {r.Healthy, &e.Restart.Healthy}, "within": {r.Within, &e.Restart.Within},
		}); err != nil {
			return e, err
		}
	}
	if f := c.LogFile; f != nil {
		e.LogFile = LogFile{Path: string(f.Path), Keep: f.Keep}
		if f.MaxSize != "" {
			if e.LogFile.MaxSize, err = ParseBytes(string(f.MaxSize)); err != nil {
				return e, fmt.Errorf("log_file.max_size: %w", err)
			}
		}
	}
	return e, parseDurations("", map[string]duration{"stop_timeout": {c.StopTimeout, &e.StopTimeout}})
}

// duration is a text and where its value goes.
type duration struct {
	text Scalar
	to   *time.Duration
}

func parseDurations(prefix string, all map[string]duration) error {
	for key, d := range all {
		if d.text == "" {
			continue
		}
		v, err := time.ParseDuration(string(d.text))
		if err != nil || v <= 0 {
			return fmt.Errorf("%s%s: got %.30q, want a duration such as 500ms or 2m", prefix, key, d.text)
		}
		*d.to = v
	}
	return nil
}

// parseLimit reads a bound of setrlimit.
func parseLimit(text string) (uint64, error) {
	if text == "unlimited" {
		return Unlimited, nil
	}
	n, err := ParseBytes(text)
	if err != nil {
		return 0, fmt.Errorf("got %.30q, want a number, one with K, M or G behind it, or unlimited", text)
	}
	return n, nil
}

// ParseBytes reads a size: bytes, or with K, M, G or T behind it units of 1024,
// of its square and so on.
func ParseBytes(text string) (uint64, error) {
	number, unit := text, uint64(1)
	if i := strings.IndexByte("KMGT", lastByte(text)); i >= 0 {
		number, unit = text[:len(text)-1], 1<<(10*(i+1))
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("got %.30q, want bytes, such as 1048576 or 512M", text)
	}
	return n * unit, nil
}

func lastByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[len(s)-1]
}

// content is e as a service file says it.
func (e Extension) content() ContentExtension {
	c := ContentExtension{User: Scalar(e.User), Group: Scalar(e.Group), SHA256: Scalar(e.SHA256), StopTimeout: durationText(e.StopTimeout)}
	if e.Umask != nil {
		c.Umask = Scalar(fmt.Sprintf("%04o", *e.Umask))
	}
	for name, n := range e.Rlimits {
		if c.Rlimits == nil {
			c.Rlimits = make(map[string]Scalar)
		}
		c.Rlimits[name] = limitText(n)
	}
	if e.Memory != 0 {
		c.MemoryMax = Scalar(strconv.FormatUint(e.Memory, 10))
	}
	if e.CPU != 0 {
		c.CPUMax = Scalar(strconv.FormatFloat(e.CPU, 'f', -1, 64))
	}
	if r := e.Restart; r != (Restart{}) {
		c.Restart = &RestartContent{
			Delay: durationText(r.Delay), MaxDelay: durationText(r.MaxDelay), Healthy: durationText(r.Healthy),
			MaxExits: r.MaxExits, Within: durationText(r.Within),
		}
	}
	if f := e.LogFile; f != (LogFile{}) {
		c.LogFile = &LogFileContent{Path: Scalar(f.Path), Keep: f.Keep}
		if f.MaxSize != 0 {
			c.LogFile.MaxSize = Scalar(strconv.FormatUint(f.MaxSize, 10))
		}
	}
	return c
}

func durationText(d time.Duration) Scalar {
	if d == 0 {
		return ""
	}
	return Scalar(d.String())
}

func limitText(n uint64) Scalar {
	if n == Unlimited {
		return "unlimited"
	}
	return Scalar(strconv.FormatUint(n, 10))
}
