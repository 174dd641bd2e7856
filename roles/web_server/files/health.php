<?php
// Managed by scripts.toolkit (role web_server). Answers with the SHA-256 of a number that the caller chooses, which a
// static or cached page can't do: whoever asks knows that PHP is executed now. It reveals nothing else.
header('Content-Type: text/plain');
header('Cache-Control: no-store');
$nonce = $_GET['nonce'] ?? '';
if (!is_string($nonce) || !preg_match('/^[0-9a-f]{16,64}$/D', $nonce)) {
    http_response_code(400);
    exit("The parameter nonce must be 16 to 64 lower-case hexadecimal digits.\n");
}
echo hash('sha256', $nonce), "\n";
