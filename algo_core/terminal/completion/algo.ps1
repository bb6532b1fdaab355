# Completion of algo for PowerShell.
#
# What comes back is quoted by algo. Its lines are ASCII, with everything but letters and digits escaped.

Register-ArgumentCompleter -Native -CommandName algo -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $length = $cursorPosition - $commandAst.Extent.StartOffset
    $line = $commandAst.Extent.Text.PadRight($length).Substring(0, $length)
    $before = $env:_ALGO_COMPLETE, $env:_ALGO_LINE
    try {
        $env:_ALGO_COMPLETE = 'powershell'
        $env:_ALGO_LINE = $line
        $answer = @(& algo 2>$null)
    }
    finally {
        $env:_ALGO_COMPLETE, $env:_ALGO_LINE = $before
    }
    foreach ($record in $answer) {
        $kind, $text, $shown, $help = $record.Split("`t") | ForEach-Object { [regex]::Unescape($_) }
        if ($kind -eq 'plain' -or $kind -eq 'open') {
            [System.Management.Automation.CompletionResult]::new($text, $shown, 'ParameterValue', $help)
        }
    }
}
