package server

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// markName is a variable that every process of a service inherits. It is how
// one that left its group, its session and its parent is still known to be the
// service's.
const markName = "ZINIT_SERVICE"

// baseEnv is what every service starts from: our own environment and that of
// /etc/environment, read once, the latter winning (research/zinit.md 4).
func baseEnv() map[string]string {
	env := make(map[string]string)
	for _, e := range os.Environ() {
		addEnv(env, e)
	}
	b, err := os.ReadFile("/etc/environment")
	if err != nil {
		return env // most containers have none
	}
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimSpace(l); !strings.HasPrefix(l, "#") && !strings.ContainsRune(l, 0) {
			addEnv(env, l)
		}
	}
	return env
}

func addEnv(env map[string]string, entry string) {
	if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
		env[name] = value
	}
}

// environ is the environment of one service: what is behind wins, and its mark
// wins over all.
func environ(mark string, layers ...map[string]string) []string {
	env := make(map[string]string)
	for _, l := range layers {
		maps.Copy(env, l)
	}
	env[markName] = mark
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
