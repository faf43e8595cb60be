package runner

import (
	"maps"
	"os"
	"slices"
)

// kept are the variables of this process that a script sees. All others stay here: an actor's own may hold
// the password of its Redis.
var kept = []string{"PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER"}

// defaultPath is for an actor that was started without one; the system's directories.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// BaseEnv is what each script has in its environment before the job's own variables.
func BaseEnv() map[string]string {
	env := map[string]string{"PATH": defaultPath}
	for _, k := range kept {
		if v, ok := os.LookupEnv(k); ok {
			env[k] = v
		}
	}
	return env
}

// environ is the environment as exec takes it, ordered, so that two runs of a job see the same.
func environ(more map[string]string) []string {
	env := BaseEnv()
	maps.Copy(env, more)
	list := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}
