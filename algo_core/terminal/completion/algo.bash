# Completion of algo for bash 4.4 and later.
#
# Everything that comes back is quoted for where the cursor stands: it is put into COMPREPLY and never expanded.

_algo_completion() {
    local program=$1 kind text
    [[ $program == '~/'* ]] && program=$HOME/${program#'~/'}
    type -P -- "$program" >/dev/null || program=algo
    COMPREPLY=()
    while IFS= read -r -d '' kind && IFS= read -r -d '' text; do
        case $kind in
            plain) COMPREPLY+=("$text") ;;
            open) COMPREPLY+=("$text"); compopt -o nospace ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(_ALGO_COMPLETE=bash command -- "$program" "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null </dev/null)
}

complete -o nosort -F _algo_completion algo
