package dispatch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"herosup/events"
)

const (
	// maxEnv bounds the variables of one job; a stream's headers end at 64 KiB in all.
	maxEnv = 100
	// maxEnvValue bounds one value, so that the limit is told by name here and not
	// by a disconnect of the server.
	maxEnvValue = 32 << 10
)

// deniedEnv can not be set by a job, deniedEnvPrefixes begin names that can not:
// each makes the loader or the interpreter run or read something before the
// script's first instruction, so that the pool's command would no longer be what
// its owner wrote. The script itself may set them for what it starts.
var (
	deniedEnv = []string{
		"PATH", "SHELL", "IFS", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS", "PS4", "CDPATH", "GLOBIGNORE", "PROMPT_COMMAND",
		"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONUSERBASE", "PYTHONPLATLIBDIR",
		"PERL5LIB", "PERL5OPT", "PERL5DB", "RUBYLIB", "RUBYOPT", "NODE_OPTIONS", "NODE_PATH", "JAVA_TOOL_OPTIONS",
		"GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH", "MALLOC_TRACE", "TERMINFO",
	}
	deniedEnvPrefixes = []string{"LD_", "DYLD_"}
	// ownEnv is set by the actor for each job; reservedEnvPrefix is kept for more of that.
	ownEnv            = map[string]string{"CALLER_ID": HeaderCallerID, "CONTEXT_ID": HeaderContextID}
	reservedEnvPrefix = "HERO_"
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkEnv says what is wrong with one variable.
func checkEnv(name, value string) *events.Refusal {
	header := HeaderEnv + name
	switch {
	case !envName.MatchString(name):
		return bad("bad_env", fmt.Sprintf("header %q: %q can not be the name of an environment variable", header, name),
			"names are letters, digits and _, and do not begin with a digit")
	case slices.Contains(deniedEnv, name) || slices.ContainsFunc(deniedEnvPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }):
		return bad("denied_env", fmt.Sprintf("header %q: a job can not set %s, it would change what the interpreter loads", header, name),
			"set it in the pool's configuration, or inside the script")
	case ownEnv[name] != "":
		return bad("denied_env", fmt.Sprintf("header %q: %s is set by the actor", header, name), "send it as the header "+ownEnv[name])
	case strings.HasPrefix(name, reservedEnvPrefix):
		return bad("denied_env", fmt.Sprintf("header %q: names that begin with %s are set by the actor", header, reservedEnvPrefix), "choose another name")
	case len(value) > maxEnvValue:
		return bad("bad_env", fmt.Sprintf("header %q: the value is %d bytes long", header, len(value)), fmt.Sprintf("at most %d are allowed; put it into the script", maxEnvValue))
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return bad("bad_env", fmt.Sprintf("header %q: the value is not UTF-8 text without NUL", header), "encode it, for example as base64")
	}
	return nil
}
