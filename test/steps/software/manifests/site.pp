include note
