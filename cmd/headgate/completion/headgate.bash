# Completion of headgate for bash: source <(headgate completion bash)
_headgate() {
	local line=${COMP_LINE:0:COMP_POINT} words lines cur text broken
	read -ra words <<<"$line" # no word has blanks in it
	[[ $line == *[[:space:]] ]] && words+=("")
	cur=${words[-1]}
	mapfile -t lines < <("${COMP_WORDS[0]}" __complete "${words[@]:1}" 2>/dev/null)
	COMPREPLY=()
	if [[ ${lines[0]} == :files ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	# Bash replaces only what stands behind the last character at which it breaks words.
	broken=${cur%"${cur##*[":="]}"}
	for text in "${lines[@]}"; do
		text=${text%%$'\t'*}
		COMPREPLY+=("${text#"$broken"}")
	done
	if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/=] ]]; then
		compopt -o nospace 2>/dev/null
	fi
}
complete -F _headgate headgate
