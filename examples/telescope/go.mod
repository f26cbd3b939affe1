module telescope

go 1.21
