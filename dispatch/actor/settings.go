package actor

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"herosup/dispatch/store"
)

// Settings are what a daemon tells the actors of a pool in their environment, beside what their arguments say. An
// end that an actor tells makes the retry, or the dead job: so it has to know their bounds as the daemon does.
// Zero values mean the defaults.
type Settings struct {
	// Type and Types are those of Config, and Concurrency: how many jobs an actor runs at a time.
	Type        string
	Types       map[string]int
	Concurrency int
	// Prefix of all keys in Redis.
	Prefix string
	// RetryBackoff is the upper bound of the pause before the first retry of a failed script, and that of the longest.
	RetryBackoff [2]time.Duration
	// DeadMost and DeadAge bound the dead jobs that are kept.
	DeadMost int
	DeadAge  time.Duration
	// KeepMost and KeepAge bound the records of ended jobs.
	KeepMost int
	KeepAge  time.Duration
	// KeepResult bounds their results; nil: as the records.
	KeepResult *time.Duration
	// Pass names the variables of the actor's own environment that its scripts get: the pool's, without Redis's passwords. Others they do not see.
	Pass []string
}

// The variables. A password is never among arguments, which every user of the machine can read.
const (
	TypeEnv             = "HERO_TYPE" // as WriteTypes has it
	ConcurrencyEnv      = "HERO_CONCURRENCY"
	PrefixEnv           = "HERO_PREFIX"
	RetryBackoffEnv     = "HERO_RETRY_BACKOFF" // two durations of Go with a comma between: 1s,1h0m0s
	DeadMostEnv         = "HERO_DEAD_MOST"
	DeadAgeEnv          = "HERO_DEAD_AGE"
	KeepMostEnv         = "HERO_KEEP_MOST"
	KeepAgeEnv          = "HERO_KEEP_AGE"
	KeepResultEnv       = "HERO_KEEP_RESULT" // empty: as the records
	PassEnv             = "HERO_PASS"        // names with commas between
	PasswordEnv         = "HEROSUP_REDIS_PASSWORD"
	SentinelPasswordEnv = "HEROSUP_REDIS_SENTINEL_PASSWORD"
)

// Env writes them as variables, all of them.
func (s Settings) Env() map[string]string {
	result := ""
	if s.KeepResult != nil {
		result = s.KeepResult.String()
	}
	return map[string]string{
		TypeEnv: WriteTypes(s.Type, s.Types), ConcurrencyEnv: strconv.Itoa(s.Concurrency), PrefixEnv: s.Prefix,
		RetryBackoffEnv: s.RetryBackoff[0].String() + "," + s.RetryBackoff[1].String(),
		DeadMostEnv:     strconv.Itoa(s.DeadMost), DeadAgeEnv: s.DeadAge.String(),
		KeepMostEnv: strconv.Itoa(s.KeepMost), KeepAgeEnv: s.KeepAge.String(), KeepResultEnv: result,
		PassEnv: strings.Join(s.Pass, ","),
	}
}

// ReadSettings reads what Env wrote; a variable that is not set leaves its zero value.
func ReadSettings(getenv func(string) string) (Settings, error) {
	s := Settings{Prefix: getenv(PrefixEnv)}
	first, longest, _ := strings.Cut(getenv(RetryBackoffEnv), ",")
	var faults []error
	for _, v := range []struct {
		name, text string
		read       func(string) error
	}{
		{TypeEnv, getenv(TypeEnv), s.readTypes},
		{ConcurrencyEnv, getenv(ConcurrencyEnv), into(&s.Concurrency, strconv.Atoi)},
		{RetryBackoffEnv, first, into(&s.RetryBackoff[0], time.ParseDuration)},
		{RetryBackoffEnv, longest, into(&s.RetryBackoff[1], time.ParseDuration)},
		{DeadMostEnv, getenv(DeadMostEnv), into(&s.DeadMost, strconv.Atoi)},
		{DeadAgeEnv, getenv(DeadAgeEnv), into(&s.DeadAge, time.ParseDuration)},
		{KeepMostEnv, getenv(KeepMostEnv), into(&s.KeepMost, strconv.Atoi)},
		{KeepAgeEnv, getenv(KeepAgeEnv), into(&s.KeepAge, time.ParseDuration)},
		{KeepResultEnv, getenv(KeepResultEnv), func(text string) error {
			s.KeepResult = new(time.Duration)
			return into(s.KeepResult, time.ParseDuration)(text)
		}},
		{PassEnv, getenv(PassEnv), func(text string) error { s.Pass = strings.Split(text, ","); return nil }},
	} {
		if v.text == "" {
			continue
		}
		if err := v.read(v.text); err != nil {
			faults = append(faults, fmt.Errorf("environment: %s=%q: %w", v.name, getenv(v.name), err))
		}
	}
	return s, cmp.Or(faults...)
}

// ScriptEnv is what scripts get of the actor's own environment.
func (s Settings) ScriptEnv(getenv func(string) string) map[string]string {
	env := make(map[string]string, len(s.Pass))
	for _, name := range s.Pass {
		env[name] = getenv(name)
	}
	return env
}

func (s *Settings) readTypes(text string) (err error) {
	s.Type, s.Types, err = ReadTypes(text)
	return err
}

func into[T any](v *T, parse func(string) (T, error)) func(string) error {
	return func(text string) (err error) {
		*v, err = parse(text)
		return err
	}
}

// Store are the options to open Redis with for an actor of that name. The passwords come from the environment.
func (s Settings) Store(url, name string, getenv func(string) string) store.Options {
	return store.Options{
		URL: url, Password: getenv(PasswordEnv), SentinelPassword: getenv(SentinelPasswordEnv), Prefix: s.Prefix, ClientName: "herosup-" + name,
		RetryBase: s.RetryBackoff[0], RetryCap: s.RetryBackoff[1], DeadMost: s.DeadMost, DeadAge: s.DeadAge,
		Done: s.KeepMost, Keep: s.KeepAge, KeepResult: s.KeepResult,
	}
}
