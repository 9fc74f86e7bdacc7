def sentence(word, careful):
    return f"{word} from an application{', not as root' if careful else ''}"
