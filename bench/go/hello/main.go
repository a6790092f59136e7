// Hello, the peer of rt0's example of that name.
package main

import "fmt"

func main() {
	fmt.Println("Hello Go")
}
