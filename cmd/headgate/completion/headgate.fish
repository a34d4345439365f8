# Completion of headgate for fish: headgate completion fish | source
function __headgate_complete
	set -l words (commandline -opc)
	set -l cur (commandline -ct)
	set -l lines ($words[1] __complete $words[2..-1] "$cur" 2>/dev/null)
	if test "$lines[1]" = :files
		__fish_complete_path "$cur"
	else
		printf '%s\n' $lines
	end
end
complete -c headgate -f -a '(__headgate_complete)'
