#compdef headgate
# Completion of headgate for zsh: source <(headgate completion zsh)
_headgate() {
	local line text
	local -a lines whole open
	lines=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ ${lines[1]} == :files ]]; then
		_files
		return
	fi
	for line in "${lines[@]}"; do
		[[ -n $line ]] || continue
		text=${${line%%$'\t'*}//:/\\:}
		[[ $line == *$'\t'?* ]] && text+=":${line#*$'\t'}"
		if [[ ${line%%$'\t'*} == *[/=] ]]; then
			open+=("$text")
		else
			whole+=("$text")
		fi
	done
	(( $#open )) && _describe headgate open -S ''
	(( $#whole )) && _describe headgate whole
}
if [[ $funcstack[1] == _headgate ]]; then
	_headgate "$@"
else
	compdef _headgate headgate
fi
